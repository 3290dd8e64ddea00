// What panels build their parts with. Text is always put in as text: a model writes anything.

/** An element: el("p", {class: "x"}, "text", otherElement). Event handlers are `onclick` etc. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** Replace what an element holds, unless it says the same already. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Tell a screen reader what it would not notice otherwise. */
export function announce(text) {
  const place = document.getElementById("announced");
  if (place) say(place, text);
}

const COPIED_MS = 3000;

/** A command with a button that copies it; it breaks between its words alone. */
export function command(text) {
  const words = text.split(" ").flatMap((word) => [" ", el("span", { class: "word" }, word)]);
  const code = el("code", {}, ...words.slice(1));
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${text}`, onclick: copy }, "Copy");

  async function copy() {
    let done = "Copied";
    try {
      await navigator.clipboard.writeText(text);
    } catch { // a page that came without TLS from another machine has no clipboard
      getSelection().selectAllChildren(code);
      done = "Selected";
    }
    announce(done);
    say(button, done);
    setTimeout(() => say(button, "Copy"), COPIED_MS);
  }
  return el("span", { class: "command" }, code, " ", button);
}

/** "what it is for: llm …", or the command alone; what goes on as a sentence is none. */
const COMMAND = /^(|.*?: )(llm [a-z].*)$/s;
const QUOTED = /'[^']*'|"[^"]*"/g;

/** Things to do, each on a line of its own; the commands among them can be copied. */
export function advice(items) {
  return el("ul", { class: "advice" }, ...items.map((item) => {
    const [, before, line] = COMMAND.exec(item) ?? [];
    if (!line || /[,.:;] |…/.test(line.replace(QUOTED, ""))) return el("li", {}, item);
    return el("li", {}, before, command(line));
  }));
}

export function table(caption, heads, rows) {
  const cell = (tag, value) =>
    typeof value === "number"
      ? el(tag, { class: "n" }, value.toLocaleString("en"))
      : el(tag, tag === "th" ? { scope: "col" } : {}, value ?? "–");
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", { class: "hidden" }, caption),
      el("thead", {}, el("tr", {}, ...heads.map((head) => cell("th", head)))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((value) => cell("td", value))))),
    ),
  );
}

export const count = (n) => (n == null ? "–" : Math.round(n).toLocaleString("en"));
export const figure = (n, digits = 3) => (n == null ? "–" : n.toFixed(digits));
export const percent = (share) => (share == null ? "–" : `${Math.round(share * 100)} %`);

/** 1.2 M, 34.5 k */
export function short(n) {
  if (n == null) return "–";
  for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (n >= size) return `${(n / size).toPrecision(3)} ${letter}`;
  return n.toPrecision(3);
}

export function bytes(n) {
  if (n == null) return "–";
  return n >= 1e9 ? `${(n / 1e9).toFixed(1)} GB` : `${Math.round(n / 1e6)} MB`;
}

/** 42 s, 3 min 05 s, 2 h 07 min, 1 d 03 h: as the terminal says it. */
export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  const two = (n) => String(n).padStart(2, "0");
  const all = Math.max(Math.round(seconds), 0);
  const [d, h, m, s] = [
    Math.floor(all / 86400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60, all % 60,
  ];
  if (d) return `${d} d ${two(h)} h`;
  if (h) return `${h} h ${two(m)} min`;
  return m ? `${m} min ${two(s)} s` : `${s} s`;
}
