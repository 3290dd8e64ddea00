import { bytes, count, duration, el, figure, say, short } from "/static/kit.js";

export function mount(root) {
  const bar = el("progress", { max: 1, value: 0, "aria-label": "Steps done" });
  const done = el("p", { class: "done" });
  const tiles = el("dl", { class: "tiles" });
  const values = new Map();
  for (const name of ["time left", "loss", "validation loss", "best", "tokens/s", "memory", "parameters"]) {
    const value = el("dd", {}, "–");
    values.set(name, value);
    tiles.append(el("div", {}, el("dt", {}, name), value));
  }
  const range = el("dd", { class: "range" });
  values.get("time left").after(range);
  const perByte = el("dd", { class: "beside" });
  values.get("validation loss").after(perByte);
  const back = el("p", { class: "quiet", hidden: true });
  const awaited = el("p", { class: "quiet", role: "status", hidden: true });
  root.append(done, bar, awaited, back, tiles);

  return (data) => {
    const share = data.total_steps ? Math.min(data.step / data.total_steps, 1) : 0;
    bar.value = share;
    say(done, `Step ${count(data.step)}${data.total_steps ? ` of ${count(data.total_steps)} (${Math.floor(share * 100)} %)` : ""}`);
    awaited.hidden = !data.awaited;
    say(awaited, data.awaited);
    back.hidden = !data.went_back;
    say(back, data.went_back);
    const left = data.left;
    say(range, left && left.high - left.low >= 2 ? `between ${duration(left.low)} and ${duration(left.high)}` : "");
    say(perByte, data.bits_per_byte == null ? "" : `${figure(data.bits_per_byte)} bits/byte`);
    const shown = {
      "time left": left ? `about ${duration(left.likely)}` : "–",
      loss: figure(data.loss),
      "validation loss": figure(data.val_loss),
      best: figure(data.best_val_loss),
      "tokens/s": count(data.tokens_per_second),
      memory: bytes(data.memory_bytes),
      parameters: short(data.parameters),
    };
    values.get("time left").parentElement.hidden = !left;
    for (const [name, text] of Object.entries(shown)) say(values.get(name), text);
  };
}
