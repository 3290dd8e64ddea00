import { count, el } from "/static/kit.js";

const NAMES = { serious: " · serious", note: " · for information" };

export function mount(root) {
  const list = el("ul", { class: "warnings" });
  const none = el("p", { class: "quiet" }, "Nothing to worry about so far.");
  root.append(none, list);
  return (data) => {
    none.hidden = data.warnings.length > 0;
    list.replaceChildren(...data.warnings.map((warning) =>
      el("li", { "data-level": warning.level },
        el("span", { class: "at" }, `step ${count(warning.step)}${NAMES[warning.level] ?? ""}`), el("p", {}, warning.message),
        ...(warning.suggestion ? [el("p", { class: "do" }, el("strong", {}, "What to do: "), warning.suggestion)] : []))));
  };
}
