// News of a run, as server-sent events. A browser opens six connections to a host and a stream keeps
// one, so the pages of a run share theirs: the one that has the lock reads, and passes on to the
// others. A hidden page neither reads nor draws; one that went away leaves the lock to the next.

const AGAIN_MS = 5000;
const UNKNOWN = "The dashboard does not know this browser any more. For a new link: llm dashboard";
const AWAY = "The dashboard has ended, or cannot be reached; training goes on without it. Trying again …";

/**
 * Tell `news(panel, data)` what is new for as long as the page is seen, and `lost(text)` why nothing
 * comes, "" when it does again.
 */
export function listen(address, { news, lost }) {
  const channel = new BroadcastChannel(address);
  const latest = new Map();
  let trouble = "";
  let source = null; // where this page reads for all
  let visit = null; // for as long as it is seen

  const take = ({ text, line }) => {
    if (text !== undefined) {
      if (text) latest.clear(); // so that all is shown when the news come again
      return lost((trouble = text));
    }
    const { panel, data } = JSON.parse(line);
    if (latest.get(panel) === line) return;
    latest.set(panel, line);
    news(panel, data);
  };
  const pass = (message) => {
    channel.postMessage(message); // first: what goes wrong here is of this page alone
    take(message);
  };
  channel.onmessage = ({ data }) => {
    if (!visit) return;
    if (!data.hello) return take(data);
    if (!source) return;
    channel.postMessage({ text: trouble });
    for (const line of latest.values()) channel.postMessage({ line });
  };

  function read(signal) {
    source = new EventSource(address);
    source.onopen = () => pass({ text: "" });
    source.onmessage = ({ data }) => pass({ line: data });
    source.onerror = async ({ target }) => {
      if (target.readyState !== EventSource.CLOSED) return pass({ text: AWAY });
      const { text, final } = await refusal(address);
      if (signal.aborted) return;
      if (text) pass({ text });
      if (!final) setTimeout(() => signal.aborted || read(signal), AGAIN_MS);
    };
  }

  async function look({ signal }) {
    channel.postMessage({ hello: true });
    const gone = new Promise((resolve) => signal.addEventListener("abort", resolve));
    const reading = async () => {
      if (signal.aborted) return;
      read(signal);
      await gone;
      source.close();
      source = null;
    };
    // Pages that came without TLS from another machine have no locks: each reads for itself.
    if (navigator.locks) await navigator.locks.request(address, { signal }, reading);
    else await reading();
  }

  function turn() {
    visit?.abort();
    visit = document.hidden ? null : new AbortController();
    latest.clear();
    if (visit) look(visit).catch((error) => error.name === "AbortError" || console.error(error));
  }
  document.addEventListener("visibilitychange", turn);
  turn();
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
