// News of a run, as server-sent events. A browser opens six connections to a host and a stream keeps
// one, so the pages of a run share theirs: the one that has the lock reads, and passes on to the
// others; when it goes away the next one reads. A hidden page draws nothing, and all when it is seen
// again; it reads on, for the dashboard ends when nobody does.

const AGAIN_MS = 5000;
const UNKNOWN = "The dashboard does not know this browser any more. For a new link: llm dashboard";
const AWAY = "The dashboard has ended, or cannot be reached; training goes on without it. Trying again …";

/**
 * Tell `news(panel, data)` what is new while the page is seen, and `lost(text)` why nothing comes,
 * "" when it does again.
 */
export function listen(address, page) {
  const board = new Board(page);
  const channel = new BroadcastChannel(address);
  let reads = false;

  const pass = (message) => {
    channel.postMessage(message); // first: what goes wrong here is of this page alone
    board.take(message);
  };
  channel.onmessage = ({ data }) => {
    if (!data.hello) board.take(data);
    else if (reads) for (const message of board.all()) channel.postMessage(message);
  };
  const reading = async () => {
    reads = true;
    await new Promise((done) => read(address, pass, done));
    reads = false;
  };
  channel.postMessage({ hello: true });
  document.addEventListener("visibilitychange", () => board.draw());
  // Pages that came without TLS from another machine have no locks: each reads for itself.
  if (navigator.locks) navigator.locks.request(address, reading);
  else reading();
}

/** The latest news of each panel, and which of them are on the page. */
class Board {
  #page;
  #latest = new Map();
  #drawn = new Map();
  #trouble = "";

  constructor(page) {
    this.#page = page;
  }

  take({ text, line }) {
    if (line !== undefined) this.#latest.set(JSON.parse(line).panel, line);
    else if ((this.#trouble = text)) {
      this.#latest.clear(); // so that all is drawn when the news come again
      this.#drawn.clear();
    }
    this.draw();
  }

  draw() {
    if (document.hidden) return;
    this.#page.lost(this.#trouble);
    for (const [panel, line] of this.#latest) {
      if (this.#drawn.get(panel) === line) continue;
      this.#drawn.set(panel, line);
      this.#page.news(panel, JSON.parse(line).data);
    }
  }

  /** What a page needs that has just come. */
  all() {
    return [{ text: this.#trouble }, ...[...this.#latest.values()].map((line) => ({ line }))];
  }
}

/** Pass on what comes; `done` where nothing will come any more. */
function read(address, pass, done) {
  const source = new EventSource(address);
  source.onopen = () => pass({ text: "" });
  source.onmessage = ({ data }) => pass({ line: data });
  source.onerror = async () => {
    if (source.readyState !== EventSource.CLOSED) return pass({ text: AWAY });
    const { text, final } = await refusal(address);
    if (text) pass({ text });
    if (final) done();
    else setTimeout(() => read(address, pass, done), AGAIN_MS);
  };
}

/** Why a stream was refused, in words, and whether that is final. */
async function refusal(address) {
  const enough = new AbortController();
  try {
    const answer = await fetch(address, { signal: enough.signal });
    if (answer.ok) return { text: "", final: false };
    if (answer.status === 401) return { text: UNKNOWN, final: true };
    return { text: (await answer.json()).error, final: answer.status === 404 };
  } catch {
    return { text: AWAY, final: false };
  } finally {
    enough.abort();
  }
}
