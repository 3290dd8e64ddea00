import { el, table } from "/static/kit.js";

const REASONS = {
  interval: "due", evaluation: "after a score", request: "asked for", pause: "the pause",
  interrupt: "the stop", remedy: "a remedy", final: "the end",
};

export function mount(root) {
  return (data) => root.replaceChildren(
    data.checkpoints.length
      ? table("Checkpoints", ["step", "why", "took", "now"], data.checkpoints.map((c) =>
        [c.step, REASONS[c.reason] ?? c.reason, c.seconds == null ? "–" : `${c.seconds.toFixed(1)} s`, c.kept ? "kept" : "removed for newer ones"]))
      : el("p", { class: "quiet" }, "None yet."),
  );
}
