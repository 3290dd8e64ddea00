import { command, el, table } from "/static/kit.js";

export function mount(root) {
  const all = el("details", {}, el("summary", {}, "All settings, and where each comes from"));
  const line = el("p", {});
  root.append(line, all);
  return (data) => {
    line.hidden = !data.command;
    line.replaceChildren(...(data.command ? [command(data.command)] : []));
    all.replaceChildren(
      all.firstChild,
      table("Settings", ["setting", "value", "from"], data.settings.map((s) => [s.key, s.value, s.source])),
      el("h3", {}, "Decided at the start"),
      table("Decided at the start", ["what", "value"], data.decided.map((s) => [s.key, s.value])),
    );
  };
}
