import { advice, count, el, say } from "/static/kit.js";

const NAMES = { serious: "serious", warning: "warning", note: "for information" };
const SHOWN = 5; // of what is not serious

export function mount(root) {
  const sum = el("p", { class: "sum" });
  const [grave, warnings, notes] = ["", "Older warnings", "Notes"].map((name) => new Part(name));
  root.append(sum, grave.list, warnings.fold, notes.fold);
  return (data) => {
    const of = (level) => data.warnings.filter((warning) => warning.level === level);
    const [serious, mild, told] = ["serious", "warning", "note"].map(of);
    const worrying = serious.length + mild.length;
    say(sum, worrying || told.length ? summary(serious.length, mild.length, told.length) : nothing(data.live));
    grave.show([...serious, ...mild.slice(0, SHOWN)]);
    warnings.show(mild.slice(SHOWN));
    notes.show(told);
  };
}

/** A list, which can be folded and stays as it was when news come. */
class Part {
  constructor(name) {
    this.name = name;
    this.list = el("ul", { class: "warnings" });
    this.head = el("summary", {});
    this.fold = el("details", { hidden: true }, this.head, ...(name ? [this.list] : []));
  }

  show(found) {
    this.fold.hidden = this.list.hidden = !found.length;
    say(this.head, `${this.name} (${found.length})`);
    this.list.replaceChildren(...found.map(item));
  }
}

function item({ level, step, message, todo }) {
  return el("li", { "data-level": level },
    el("span", { class: "at" }, `${NAMES[level]} · step ${count(step)}`), el("p", {}, message),
    ...(todo.length ? [el("p", { class: "do" }, el("strong", {}, "What to do:")), advice(todo)] : []));
}

const nothing = (live) => `Nothing to worry about${live ? " so far" : ""}.`;

/** "1 serious, 4 notes" */
function summary(serious, mild, notes) {
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  const parts = [serious && `${serious} serious`, mild && plural(mild, "warning"), notes && plural(notes, "note")];
  return parts.filter(Boolean).join(", ") + (serious || mild ? "" : ": nothing to worry about");
}
