// The page of one run: news come as server-sent events, one for each panel that has some.
import { advice, el, say } from "/static/kit.js";
import { listen } from "/static/news.js";
import { requests } from "/static/requests.js";

const main = document.getElementById("main");
const run = main.dataset.run;
const others = new URLSearchParams(location.search).getAll("with");
const updates = new Map();
const latest = new Map();

const address = (path, query = {}) => {
  const given = new URLSearchParams(query);
  for (const other of others) given.append("with", other);
  return `/runs/${encodeURIComponent(run)}/${path}?${given}`;
};

// --- panels ---

async function mount(section) {
  const name = section.dataset.panel;
  const body = section.querySelector(".body");
  const api = {
    run,
    ask: async (query) => {
      const answer = await fetch(address(`panels/${encodeURIComponent(name)}`, query));
      if (!answer.ok) throw new Error(`${answer.status}`);
      const data = await answer.json();
      if (data.failed) throw new Error(data.failed);
      return data;
    },
  };
  try {
    const module = await import(`/panels/${encodeURIComponent(name)}.js`);
    const update = module.mount(body, api);
    updates.set(name, (data) => {
      if (data.failed) body.replaceChildren(el("p", { class: "bad" }, `This panel failed: ${data.failed}`));
      else update(data);
    });
    if (latest.has(name)) updates.get(name)(latest.get(name));
  } catch (error) {
    body.replaceChildren(el("p", { class: "bad" }, `This panel could not be loaded: ${error.message}`));
    console.error(error);
  }
}

// --- the state of the run ---

const WORDS = {
  running: "running", completed: "completed", paused: "paused", interrupted: "interrupted",
  failed: "failed", diverged: "went wrong", killed: "killed", unreadable: "unreadable",
};
const ANSWER_MS = 10_000;
const controls = document.getElementById("controls");
const said = document.getElementById("said");
let saidLast = "";

function show(state) {
  const badge = document.getElementById("status");
  say(badge, WORDS[state.status] ?? state.status);
  badge.dataset.status = state.status;
  badge.dataset.tone = state.said?.tone ?? "";
  controls.hidden = !state.live;
  asking(state);
  document.title = `${WORDS[state.status] ?? state.status} – ${run}`;
  tell(state.said);
}

function tell(message) {
  if (JSON.stringify(message) === saidLast) return;
  saidLast = JSON.stringify(message);
  said.hidden = !message;
  if (!message) return;
  const { tone, title, text, todo = [], next = [], lead = "Next:" } = message;
  said.dataset.tone = tone;
  const list = (heading, items) => (items.length ? [el("p", {}, heading), advice(items)] : []);
  said.replaceChildren(
    el("h2", {}, title),
    ...[text].flat().map((paragraph) => el("p", {}, paragraph)),
    ...list(tone === "problematic" ? "What to do:" : "What would make it better:", todo),
    ...list(lead, next),
  );
}

const asking = requests(controls, async (request) => {
  const refused = await ask(request);
  if (refused) tell({ tone: "problematic", title: "That was not possible", ...refused });
  return !refused;
});

/** Why a request was not taken, and what to do instead; null if it was. */
async function ask(request) {
  try {
    const answer = await fetch(address("control"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ request }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    return answer.ok ? null : { text: (await answer.json()).error };
  } catch {
    return { text: "The dashboard did not answer.", lead: "Try again, or halt the training in a terminal:", next: ["llm runs pause"] };
  }
}

// --- news ---

const connection = document.getElementById("connection");
function lost(text) {
  connection.hidden = !text;
  say(connection, text);
}

async function waitForRun() {
  try {
    const answer = await fetch("/");
    if (answer.redirected) return location.assign(answer.url);
    lost("");
  } catch {
    lost("The dashboard has ended, or cannot be reached.");
  }
  setTimeout(waitForRun, 2000);
}

// --- what is chosen on the page ---

document.getElementById("run").addEventListener("change", (event) => {
  location.assign(`/runs/${encodeURIComponent(event.target.value)}`);
});
document.getElementById("others")?.addEventListener("change", () => {
  const chosen = [...document.querySelectorAll("#others input:checked")].map((box) => ["with", box.value]);
  location.assign(`/runs/${encodeURIComponent(run)}${chosen.length ? `?${new URLSearchParams(chosen)}` : ""}`);
});

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
function theme(chosen) {
  root.dataset.theme = chosen ?? (dark.matches ? "dark" : "light");
  document.dispatchEvent(new Event("themechange"));
}
theme(localStorage.getItem("theme"));
dark.addEventListener("change", () => theme(localStorage.getItem("theme")));
document.getElementById("theme").addEventListener("click", () => {
  const chosen = root.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", chosen);
  theme(chosen);
});

if (run) {
  listen(address("stream"), {
    news: (panel, data) => {
      if (panel === "") return show(data);
      latest.set(panel, data);
      updates.get(panel)?.(data);
    },
    lost: (text) => {
      if (text) controls.hidden = true;
      lost(text);
    },
  });
  document.querySelectorAll("[data-panel]").forEach(mount);
} else {
  waitForRun();
}
