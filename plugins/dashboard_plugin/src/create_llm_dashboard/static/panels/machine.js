import { LineChart, colour } from "/static/chart.js";
import { bytes, el, percent, say } from "/static/kit.js";

export function mount(root) {
  const tiles = el("dl", { class: "tiles" });
  const note = el("p", { class: "quiet" });
  const place = el("div", { class: "chart" });
  const chart = new LineChart(place, { label: "Use of the machine", y: "%", x: "seconds ago", height: 170 });
  root.append(note, tiles, place);
  const tile = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));

  return (data) => {
    const now = data.readings.at(-1);
    note.hidden = data.live && !data.elsewhere;
    say(note, data.live ? `The training runs on ${data.elsewhere}; this is the machine of the page.` : "The run is over: this is the machine of the page, as it is now.");
    if (!now) return;
    tiles.replaceChildren(
      tile("processor", percent(now.cpu)),
      tile("memory", `${bytes(now.memory_bytes)} of ${bytes(now.memory_total)}`),
      ...(now.process_cpu == null ? [] : [
        tile("training: cores", now.process_cpu.toFixed(1)), tile("training: memory", bytes(now.process_bytes)),
      ]),
      ...now.gpus.flatMap((gpu, n) => [
        tile(`GPU ${n}: ${gpu.name}`, percent(gpu.used)),
        tile(`GPU ${n}: memory`, `${bytes(gpu.memory_bytes)} of ${bytes(gpu.memory_total)}`),
        tile(`GPU ${n}: temperature`, gpu.temperature == null ? "–" : `${gpu.temperature.toFixed(0)} °C`),
      ]),
    );
    const x = data.readings.map((r) => r.time - now.time);
    const share = (name, value, n) => ({ name, x, y: data.readings.map((r) => { const v = value(r); return v == null ? null : 100 * v; }), colour: colour(n), width: 1.5 });
    chart.update({ curves: [
      share("processor", (r) => r.cpu, 0),
      share("memory", (r) => r.memory_bytes / r.memory_total, 1),
      ...now.gpus.map((gpu, n) => share(`GPU ${n}`, (r) => r.gpus[n]?.used, 2 + n)),
    ] });
    place.setAttribute("aria-label", `Processor ${percent(now.cpu)}, memory ${percent(now.memory_bytes / now.memory_total)}`);
  };
}
