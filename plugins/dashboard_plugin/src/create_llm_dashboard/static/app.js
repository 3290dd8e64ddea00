// The page of one run: news come as server-sent events, one for each panel that has some.
import { el, say } from "/static/kit.js";

const main = document.getElementById("main");
const run = main.dataset.run;
const others = main.dataset.others;
const updates = new Map();
const latest = new Map();
let live = false;

const address = (path, query = {}) => {
  const given = new URLSearchParams(query);
  if (others) given.set("with", others);
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
      return answer.json();
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
  running: "running", completed: "complete", paused: "paused", interrupted: "interrupted",
  failed: "failed", diverged: "went wrong", killed: "killed",
};
const ASKED = { pause: "Pausing …", stop: "Stopping …", checkpoint: "Saving …" };
const LABELS = { pause: "Pause", stop: "Stop", checkpoint: "Checkpoint now" };
const controls = document.getElementById("controls");
const said = document.getElementById("said");
let saidLast = "";

function show(state) {
  const badge = document.getElementById("status");
  say(badge, WORDS[state.status] ?? state.status);
  badge.dataset.status = state.status;
  live = state.live;
  controls.hidden = !state.live;
  for (const button of controls.children) {
    const asked = state.asked.includes(button.dataset.request);
    button.disabled = asked;
    say(button, (asked ? ASKED : LABELS)[button.dataset.request]);
  }
  document.title = `${WORDS[state.status] ?? state.status} – ${run}`;
  tell(state.said);
}

function tell(message) {
  if (JSON.stringify(message) === saidLast) return;
  saidLast = JSON.stringify(message);
  said.hidden = !message;
  if (!message) return;
  said.dataset.tone = message.tone;
  const next = message.next.map((command) => el("li", {}, el("code", {}, command)));
  said.replaceChildren(
    el("h2", {}, message.title),
    el("p", {}, message.text),
    ...(next.length ? [el("p", {}, "Next:"), el("ul", {}, ...next)] : []),
  );
}

controls.addEventListener("click", async (event) => {
  const request = event.target.dataset?.request;
  if (!request) return;
  if (request === "stop" && !confirm("End the training? It saves a checkpoint first.")) return;
  event.target.disabled = true;
  say(event.target, ASKED[request]);
  const answer = await fetch(address("control"), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ request }),
  });
  if (!answer.ok) tell({ tone: "bad", title: "That was not possible", text: (await answer.json()).error, next: [] });
});

// --- news ---

const connection = document.getElementById("connection");
function lost(text) {
  connection.hidden = !text;
  say(connection, text);
}

function listen() {
  const stream = new EventSource(address("stream"));
  stream.onopen = () => lost("");
  stream.onmessage = (event) => {
    const { panel, data } = JSON.parse(event.data);
    if (panel === "") return show(data);
    latest.set(panel, data);
    updates.get(panel)?.(data);
  };
  stream.onerror = () => {
    controls.hidden = true;
    lost(
      stream.readyState === EventSource.CLOSED
        ? "The dashboard does not know this browser any more. For a new link: llm dashboard"
        : "The dashboard has ended, or cannot be reached; training goes on without it. Trying again …",
    );
  };
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
  const chosen = [...document.querySelectorAll("#others input:checked")].map((box) => box.value);
  location.assign(`/runs/${encodeURIComponent(run)}${chosen.length ? `?with=${chosen.map(encodeURIComponent).join(",")}` : ""}`);
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
  listen();
  document.querySelectorAll("[data-panel]").forEach(mount);
} else {
  waitForRun();
}
