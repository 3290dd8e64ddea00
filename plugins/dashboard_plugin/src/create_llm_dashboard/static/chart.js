// Line charts over steps, drawn by BokehJS, which the page loads beside this.

/** Told apart with every kind of colour vision (Okabe and Ito 2008), on light and on dark. */
const COLOURS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6"];
const WAIT_MS = 250;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const colour = (n) => css(COLOURS[n % COLOURS.length]);

/** Resolves when the library has been read: it is the larger part of what a page loads. */
const library = new Promise((resolve) => {
  if (window.Bokeh?.Plotting || document.readyState === "complete") return resolve();
  document.addEventListener("DOMContentLoaded", resolve, { once: true });
  addEventListener("load", resolve, { once: true });
});

/** Charts are drawn one after another, in the order they were asked for: the upper are seen while
 * the lower are still made, and the page can be used in between. */
let drawing = library;
function inTurn(draw) {
  drawing = drawing.then(draw).catch((error) => console.error(error));
  drawing = drawing.then(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
}

export class LineChart {
  /**
   * @param root element to draw in
   * @param options.label what a screen reader says of it
   * @param options.y what the values are
   * @param options.height pixels
   * @param options.onrange (from, to) steps that somebody zoomed to; (null, null) for all
   * @param options.x what the horizontal axis is
   */
  constructor(root, { label, y, height = 280, onrange = null, x = "step" }) {
    Object.assign(this, { root, label, y, x, height, onrange });
    this.log = false;
    this.zoom = null;
    this.given = null;
    this.lines = null;
    root.setAttribute("role", "img");
    root.setAttribute("aria-label", label);
    document.addEventListener("themechange", () => this.redraw());
  }

  /** @param given {curves: [{name, x, y, colour, dash, width, alpha, dots}], zones, end} */
  update(given) {
    const same = this.lines && this.given.curves.map((c) => c.name).join() === given.curves.map((c) => c.name).join();
    this.given = given;
    if (!same) return this.redraw();
    given.curves.forEach((curve, n) => this.fill(this.lines[n], curve));
    this.fit();
  }

  setLog(log) {
    this.log = log;
    this.redraw();
  }

  setZoom(from, to) {
    this.zoom = from == null ? null : [from, to];
    this.fit();
    this.onrange?.(from, to);
  }

  fill(source, curve) {
    const y = curve.y.map((v) => (v == null || (this.log && v <= 0) ? NaN : v));
    source.data = { x: curve.x, y };
  }

  redraw() {
    if (!this.given || this.waits) return;
    this.waits = true;
    inTurn(() => {
      this.waits = false;
      return this.draw();
    });
  }

  async draw() {
    if (!window.Bokeh?.Plotting) {
      this.root.textContent = "The charts could not be loaded.";
      return;
    }
    const measured = this.given.curves.filter((curve) => curve.y.some((v) => v != null));
    if (!measured.length) {
      this.lines = null;
      this.root.textContent = "Nothing has been measured yet.";
      return;
    }
    const { Plotting, ColumnDataSource, Range1d, DataRange1d, BoxZoomTool, HoverTool, BoxAnnotation } = Bokeh;
    const [ink, grid, paper] = [css("--ink"), css("--grid"), css("--panel")];
    this.range = new Range1d({ start: 0, end: 1 });
    const tools = [new HoverTool({ tooltips: [["", "$name"], [this.x, "@x{0,0}"], [this.y, "@y{0.[0000]}"]] })];
    // Where a finger drags, the page has to move.
    if (this.onrange && !matchMedia("(pointer: coarse)").matches)
      tools.push(new BoxZoomTool({ dimensions: "width" }));
    const plot = Plotting.figure({
      height: this.height, sizing_mode: "stretch_width", tools, toolbar_location: null,
      x_range: this.range, y_axis_type: this.log ? "log" : "linear",
      background_fill_color: paper, border_fill_color: paper, outline_line_color: null,
      min_border_right: 12,
    });
    for (const axis of [plot.xaxis, plot.yaxis].flat()) {
      Object.assign(axis, {
        axis_label_text_color: ink, major_label_text_color: ink, axis_line_color: grid,
        major_tick_line_color: grid, minor_tick_line_color: null,
        axis_label_text_font_style: "normal",
      });
    }
    for (const lines of [plot.xgrid, plot.ygrid].flat()) lines.grid_line_color = grid;
    plot.xaxis.axis_label = this.x;
    plot.yaxis.axis_label = this.y;
    for (const zone of this.given.zones ?? [])
      plot.add_layout(new BoxAnnotation({
        bottom: zone.low || undefined, top: zone.high ?? undefined,
        fill_color: css(`--zone-${zone.zone}`), fill_alpha: 1, level: "image",
        line_color: null,
      }));
    const drawn = [];
    this.lines = this.given.curves.map((curve, n) => {
      const source = new ColumnDataSource({ data: { x: [], y: [] } });
      const line_color = curve.colour ?? colour(n);
      const style = {
        source, line_color, line_width: curve.width ?? 2, line_alpha: curve.alpha ?? 1,
        line_dash: curve.dash ?? [], name: curve.name,
      };
      if (curve.legend !== false) style.legend_label = curve.name;
      drawn.push(plot.line({ field: "x" }, { field: "y" }, style));
      if (curve.dots)
        plot.scatter({ field: "x" }, { field: "y" }, { source, color: line_color, size: 5, name: curve.name });
      this.fill(source, curve);
      return source;
    });
    // Zones reach beyond the curves: the curves alone say how high the picture is.
    plot.y_range = new DataRange1d({ renderers: drawn });
    Object.assign(plot.legend, {
      background_fill_color: paper, background_fill_alpha: 0.8, label_text_color: ink,
      border_line_color: null, click_policy: "hide", location: "top_right", padding: 4, spacing: 0,
    });
    if (this.given.curves.length < 2) plot.legend.visible = false;
    this.fit();
    this.range.change.connect(() => this.zoomed());
    await this.show(plot);
  }

  async show(plot) {
    const holder = document.createElement("div");
    const before = this.view;
    this.view = null;
    this.root.append(holder);
    const view = await Bokeh.Plotting.show(plot, holder);
    before?.remove();
    while (this.root.firstChild !== holder) this.root.firstChild.remove();
    this.view = view;
    this.root.dataset.drawn = "yes";
  }

  /** The whole of the curves, or what somebody zoomed to. */
  fit() {
    if (!this.range) return; // not drawn yet
    const xs = this.given.curves.flatMap((c) => (c.x.length ? [c.x[0], c.x.at(-1)] : []));
    const all = xs.length ? [Math.min(...xs), Math.max(...xs)] : [0, 1];
    const [from, to] = this.zoom ?? [all[0], all[1] > all[0] ? all[1] : all[0] + 1];
    this.own = true;
    this.range.setv({ start: from, end: to });
    this.own = false;
    this.root.dataset.points = this.given.curves.reduce((sum, c) => sum + c.x.length, 0);
  }

  zoomed() {
    if (this.own) return;
    const { start, end } = this.range;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.setZoom(start, end), WAIT_MS);
  }
}
