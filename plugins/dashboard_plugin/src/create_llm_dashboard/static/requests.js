// The buttons that ask something of a run. Each says so until what was asked for has happened: the
// run takes a request within moments, and may evaluate and save for minutes after that.
import { announce, count, say } from "/static/kit.js";

const ASKED = { pause: "Pausing …", stop: "Stopping …", checkpoint: "Saving …" };
const LABELS = { pause: "Pause", stop: "Stop", checkpoint: "Checkpoint now" };
const LIMIT_MS = 120_000; // after which a button can be used again, whatever has come of it
const SAVED_MS = 4000;

/**
 * @param controls holds the buttons
 * @param send asks; resolves to whether it was taken
 * @returns takes each new state of the run
 */
export function requests(controls, send) {
  const waits = new Map();
  let state = { asked: [], step: 0, saved: null };

  function label(request, text, disabled) {
    const button = controls.querySelector(`[data-request=${request}]`);
    button.disabled = disabled;
    say(button, text);
  }

  function begin(request) {
    const { step, saved } = state;
    waits.set(request, { step, before: saved?.time, limit: setTimeout(end, LIMIT_MS, request) });
    label(request, ASKED[request], true);
  }

  function end(request, done = "") {
    clearTimeout(waits.get(request)?.limit);
    waits.delete(request);
    if (!done) return label(request, LABELS[request], false);
    announce(done);
    label(request, done, true);
    setTimeout(() => waits.has(request) || label(request, LABELS[request], false), SAVED_MS);
  }

  /** Whether there is a checkpoint of after the request, or of the very step that it was made at,
   * which is then not saved twice. */
  function isSaved({ step, before }, { asked, saved, step: now }) {
    if (!saved) return false;
    if (saved.time !== before && saved.reason === "request") return true;
    return !asked.includes("checkpoint") && (saved.time !== before || (saved.step >= step && now > step));
  }

  controls.addEventListener("click", async ({ target }) => {
    const request = target.dataset?.request;
    if (!request || waits.has(request)) return;
    if (request === "stop" && !confirm("End the training? It saves a checkpoint first.")) return;
    begin(request);
    if (!(await send(request))) end(request);
  });

  return (found) => {
    state = found;
    for (const request of found.asked) if (!waits.has(request)) begin(request); // from elsewhere
    const wait = waits.get("checkpoint");
    if (wait && isSaved(wait, found)) end("checkpoint", `Saved at step ${count(found.saved.step)}`);
    if (!found.live) for (const request of [...waits.keys()]) end(request);
  };
}
