import { el, table } from "/static/kit.js";

export function mount(root) {
  return (data) => root.replaceChildren(
    data.checkpoints.length
      ? table("Checkpoints", ["step", "for", "took", ""], data.checkpoints.map((c) =>
        [c.step, c.reason, c.seconds == null ? "–" : `${c.seconds.toFixed(1)} s`, c.kept ? "kept" : "rotated away"]))
      : el("p", { class: "quiet" }, "None yet."),
  );
}
