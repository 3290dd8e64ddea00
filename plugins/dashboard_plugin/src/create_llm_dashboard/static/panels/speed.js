import { LineChart, colour } from "/static/chart.js";
import { count, el, percent, say, short } from "/static/kit.js";

const CURVES = [
  ["tokens_per_second", "Tokens per second", "tokens/s", (v) => count(v)],
  ["learning_rate", "Learning rate", "learning rate", (v) => (v == null ? "–" : v.toPrecision(3))],
  ["grad_norm", "Gradient norm", "before clipping", (v) => (v == null ? "–" : v.toFixed(2))],
];

export function mount(root) {
  const compute = el("p", { class: "quiet" });
  const charts = CURVES.map(([name, title, y, shown]) => {
    const place = el("div", { class: "chart" });
    const now = el("span", { class: "now" });
    return { name, title, shown, now, place, chart: new LineChart(place, { label: title, y, height: 190 }) };
  });
  root.append(
    el("div", { class: "charts" }, ...charts.map((c) => el("div", {}, el("h3", {}, c.title, " ", c.now), c.place))),
    compute,
  );
  return (data) => {
    for (const c of charts) {
      const curves = data.runs.map((run, n) => ({ name: run.name, ...run[c.name], colour: colour(n), width: 1.5, legend: false }));
      c.chart.update({ curves });
      const last = c.shown(curves[0].y.at(-1));
      say(c.now, last);
      c.place.setAttribute("aria-label", `${c.title}, now ${last}`);
    }
    compute.hidden = !data.compute;
    if (data.compute) {
      const share = data.compute.utilisation == null ? "" : `, ${percent(data.compute.utilisation)} of what this machine can do (model FLOPs utilisation)`;
      say(compute, `The model's arithmetic: about ${short(data.compute.flops)}FLOP/s${share}.`);
    }
  };
}
