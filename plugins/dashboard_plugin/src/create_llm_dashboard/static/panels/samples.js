import { count, el } from "/static/kit.js";

export function mount(root) {
  const list = el("ol", { class: "samples", reversed: true });
  const none = el("p", { class: "quiet" }, "The model writes its first sample soon.");
  root.append(none, list);
  return (data) => {
    none.hidden = data.samples.length > 0;
    list.replaceChildren(...data.samples.map((sample) =>
      el("li", {}, el("span", { class: "at" }, `step ${count(sample.step)}`),
        el("blockquote", {}, el("span", { class: "prompt" }, sample.prompt), sample.text))));
  };
}
