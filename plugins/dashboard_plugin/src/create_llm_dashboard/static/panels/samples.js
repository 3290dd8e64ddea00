import { count, el, say } from "/static/kit.js";

export function mount(root) {
  const list = el("ol", { class: "samples", reversed: true });
  const none = el("p", { class: "quiet" }, "");
  root.append(none, list);
  return (data) => {
    none.hidden = data.samples.length > 0;
    say(none, data.none);
    list.replaceChildren(...data.samples.map((sample) =>
      el("li", {}, el("span", { class: "at" }, `step ${count(sample.step)}`),
        el("blockquote", {}, el("span", { class: "prompt" }, sample.prompt), sample.text))));
  };
}
