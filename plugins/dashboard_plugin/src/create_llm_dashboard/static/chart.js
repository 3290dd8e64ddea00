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

/** What cannot change without drawing anew. */
const shape = ({ curves, marks, zones }) => JSON.stringify([curves.map((curve) => curve.name), marks, zones]);

/** The first and the last step of curves and marks. */
function ends(curves, marks = []) {
  const xs = [...curves.flatMap((curve) => [curve.x[0], curve.x.at(-1)]), ...marks.map((mark) => mark.x)];
  return xs.length ? [Math.min(...xs), Math.max(...xs)] : [0, 1];
}

const ROOM = 0.05;

/** From where to where a picture of the curves between two steps goes. What is measured here is never
 * negative, and zones reach beyond the curves: the curves alone say how high it is. */
function heights({ curves, high }, from, to, log) {
  const seen = curves.flatMap(({ x, y }) => y.filter((v, n) => v != null && x[n] >= from && x[n] <= to && (!log || v > 0)));
  if (!seen.length) return { start: log ? 0.1 : 0, end: 1 };
  const [low, top] = seen.reduce(([least, most], v) => [Math.min(least, v), Math.max(most, v)], [Infinity, -Infinity]);
  if (log) return { start: low / 1.1, end: top * 1.1 };
  const last = Math.min(top, high ?? Infinity);
  const room = last > low ? ROOM * (last - low) : ROOM * (Math.abs(last) || 1);
  return { start: Math.max(low - room, 0), end: last + room };
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

  /**
   * @param given {curves: [{name, x, y, colour, dash, width, alpha, dots, legend}], zones, marks,
   * high}; a curve of which nothing was measured is left out, and those of one legend are hidden
   * together; marks are {x, text}, a line across each; high is where a linear picture ends, if it
   * does not show all
   */
  update(given) {
    const curves = given.curves.filter((curve) => curve.y.some((v) => v != null));
    const [first, last] = ends(curves, given.marks);
    const marks = (given.marks ?? []).map((mark) => ({ ...mark, late: mark.x > (first + last) / 2 }));
    this.given = { ...given, curves, marks };
    if (!this.lines || this.drawn !== shape(this.given)) return this.redraw();
    this.given.curves.forEach((curve, n) => this.fill(this.lines[n], curve));
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
    if (!this.given.curves.length) {
      this.lines = null;
      const none = Object.assign(document.createElement("p"), { className: "quiet", textContent: "Nothing has been measured yet." });
      this.root.replaceChildren(none);
      return;
    }
    const { Plotting, ColumnDataSource, Range1d, BoxZoomTool, HoverTool, BoxAnnotation, Span, Label, BasicTickFormatter } = Bokeh;
    const [ink, grid, paper] = [css("--ink"), css("--grid"), css("--panel")];
    [this.range, this.height_range] = [0, 1].map(() => new Range1d({ start: 0, end: 1 }));
    const tools = [new HoverTool({
      tooltips: [["", "$name"], [this.x, "@x{0,0}"], [this.y, "@y{%.5g}"]], formatters: { "@y": "printf" },
    })];
    // Where a finger drags, the page has to move.
    if (this.onrange && !matchMedia("(pointer: coarse)").matches)
      tools.push(new BoxZoomTool({ dimensions: "width" }));
    const plot = Plotting.figure({
      height: this.height, sizing_mode: "stretch_width", tools, toolbar_location: null,
      x_range: this.range, y_range: this.height_range, y_axis_type: this.log ? "log" : "linear",
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
    plot.yaxis.formatter = new BasicTickFormatter({ power_limit_low: -5, power_limit_high: 6 });
    for (const zone of this.given.zones ?? [])
      plot.add_layout(new BoxAnnotation({
        bottom: zone.low || undefined, top: zone.high ?? undefined,
        fill_color: css(`--zone-${zone.zone}`), fill_alpha: 1, level: "image",
        line_color: null,
      }));
    for (const { x, text, late } of this.given.marks) {
      plot.add_layout(new Span({ location: x, dimension: "height", line_color: ink, line_dash: [4, 4] }));
      plot.add_layout(new Label({
        x, y: 4, y_units: "screen", x_offset: late ? -4 : 4, text_align: late ? "right" : "left",
        text, text_color: ink, text_font_size: "12px",
      }));
    }
    this.drawn = shape(this.given);
    this.lines = this.given.curves.map((curve, n) => {
      const source = new ColumnDataSource({ data: { x: [], y: [] } });
      const line_color = curve.colour ?? colour(n);
      const style = {
        source, line_color, line_width: curve.width ?? 2, line_alpha: curve.alpha ?? 1,
        line_dash: curve.dash ?? [], name: curve.name,
      };
      if (curve.legend !== false) style.legend_label = curve.legend ?? curve.name;
      plot.line({ field: "x" }, { field: "y" }, style);
      if (curve.dots)
        plot.scatter({ field: "x" }, { field: "y" }, { source, color: line_color, size: 5, name: curve.name });
      this.fill(source, curve);
      return source;
    });
    Object.assign(plot.legend, {
      background_fill_color: paper, background_fill_alpha: 0.8, label_text_color: ink,
      border_line_color: null, click_policy: "hide", location: "top_right", padding: 4, spacing: 0,
    });
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
    const [first, last] = ends(this.given.curves, this.given.marks);
    const [from, to] = this.zoom ?? [first, last > first ? last : first + 1];
    this.own = true;
    this.range.setv({ start: from, end: to });
    this.height_range.setv(heights(this.given, from, to, this.log));
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
