import { LineChart, colour } from "/static/chart.js";
import { count, el, say, table, figure } from "/static/kit.js";

const MARKS = { good: "✓", acceptable: "~", problematic: "!" };
const NAMES = { quiet: "Just begun" };

export function mount(root, api) {
  const chosen = { smoothing: 0, from: null, to: null };
  let data = null;

  const verdict = el("p", { class: "verdict" });
  const place = el("div", { class: "chart" });
  const chart = new LineChart(place, { label: "Loss", y: "loss", height: 340, onrange: zoomed });
  const log = el("input", { type: "checkbox", onchange: () => { chart.setLog(log.checked); sayAbove(); } });
  const smoothing = el(
    "select",
    { onchange: () => { chosen.smoothing = Number(smoothing.value); ask(); } },
    ...[[0, "none"], [0.005, "a little"], [0.02, "more"], [0.08, "much"]].map(([value, name]) => el("option", { value }, name)),
  );
  const all = el("button", { type: "button", disabled: true, onclick: () => chart.setZoom(null, null) }, "Show all");
  const latest = el("button", { type: "button", onclick: showLatest }, "Last quarter");
  const rows = el("details", {}, el("summary", {}, "The evaluations as a table"));
  const zones = el("ul", { class: "zones" });
  const key = el("p", { class: "quiet", hidden: true }, "Solid lines: training; dashed lines and dots: validation.");
  const above = el("p", { class: "quiet", hidden: true });
  root.append(
    verdict,
    el("div", { class: "tools" }, el("label", {}, log, " logarithmic"), el("label", {}, "Smoothing ", smoothing), latest, all),
    place, above, key, zones, rows,
  );

  function showLatest() {
    const last = data.runs[0].train.x.at(-1);
    if (last) chart.setZoom(last * 0.75, last);
  }

  function zoomed(from, to) {
    Object.assign(chosen, { from, to });
    all.disabled = from == null;
    ask();
  }

  const isPlain = () => !chosen.smoothing && chosen.from == null;

  async function ask() {
    const query = { smoothing: chosen.smoothing };
    if (chosen.from != null) Object.assign(query, { from: chosen.from, to: chosen.to });
    draw(await api.ask(query));
  }

  function draw(found) {
    data = found;
    const several = found.runs.length > 1;
    const curves = found.runs.flatMap((run, n) => {
      const name = (what) => (several ? `${what} ${run.name}` : what);
      const legend = several ? `${run.name}${n ? "" : " (this run)"}` : undefined;
      const own = several ? colour(n) : null;
      return [
        { name: name("training"), ...run.train, legend, colour: own ?? colour(0), alpha: 0.75, width: 1.5 },
        { name: name("validation"), ...run.val, legend, colour: own ?? colour(1), width: 2.5, dots: run.val.x.length < 100, dash: several ? [6, 3] : [] },
      ];
    });
    const marks = marksOf(found.went_back);
    const young = found.verdict?.zone === "quiet"; // then the zones would only alarm
    chart.update({ curves, zones: young ? [] : found.zones, marks, high: found.high });
    sayAbove();
    key.hidden = !several;
    const first = found.runs[0].train.y.find((v) => v != null);
    const lastVal = found.runs[0].val.y.at(-1);
    place.setAttribute("aria-label", `Loss: training from ${figure(first)} to ${figure(found.runs[0].train.y.at(-1))}; validation ${figure(lastVal)}.${marks.map((mark) => ` At step ${count(mark.x)}: ${mark.text}.`).join("")} The table below has the numbers.`);
    if (found.verdict) {
      verdict.dataset.zone = found.verdict.zone;
      verdict.hidden = false;
      const { zone, reason } = found.verdict;
      say(verdict, `${NAMES[zone] ?? `${MARKS[zone]} ${zone}`}: ${reason}`);
    } else verdict.hidden = true;
    zones.hidden = young;
    zones.replaceChildren(...found.zones.map((zone) => {
      const to = zone.high == null ? "" : figure(zone.high, 2);
      const range = !to ? `above ${figure(zone.low, 2)}` : zone.low ? `${figure(zone.low, 2)} to ${to}` : `below ${to}`;
      return el("li", { "data-zone": zone.zone }, el("strong", {}, zone.zone), ` ${range}: ${zone.meaning}`);
    }));
    rows.replaceChildren(rows.firstChild, table("Evaluations", ["step", "training loss", "validation loss"], found.table.map((row) => [row.step, figure(row.train, 4), figure(row.val, 4)])));
  }

  function sayAbove() {
    above.hidden = data.high == null || log.checked;
    if (above.hidden) return;
    const top = ({ train, val }) => Math.max(...[...train.y, ...val.y].filter((v) => v != null));
    const beyond = data.runs.map((run) => [run.name, top(run)]).filter(([, loss]) => loss > data.high);
    const named = beyond.map(([name, loss]) => `${data.runs.length > 1 ? `${name}, ` : ""}up to ${large(loss)}`);
    say(above, `Losses above ${large(data.high)} are above the picture: ${named.join("; ")}. "logarithmic" shows them.`);
  }

  return (found) => (isPlain() ? draw(found) : ask());
}

const large = (loss) => (loss < 1e6 ? loss.toLocaleString("en", { maximumSignificantDigits: 4 }) : loss.toExponential(1));

/** A line at each step that the run went back to. */
function marksOf(times) {
  const from = new Map();
  for (const { at, to } of times) from.set(to, [...(from.get(to) ?? []), count(at)]);
  return [...from].map(([x, ats]) => ({ x, text: `back from step ${ats.join(", ")}` }));
}
