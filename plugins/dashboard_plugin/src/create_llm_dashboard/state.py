"""What the top of the page says of a run: its status, and how it ended with what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import PurePath

from create_llm.cli.units import bits, count, counted, duration
from create_llm.runs.again import resume_command
from create_llm.runs.control import Control
from create_llm.runs.report import LIVE
from create_llm_dashboard.advice import advice
from create_llm_dashboard.history import Event
from create_llm_dashboard.panel import Json
from create_llm_dashboard.reading import ReadRun
from create_llm_dashboard.series import finite
from create_llm_dashboard.words import nats, shown
from create_llm_dashboard.zones import Tone, verdict_on

_WITH_A_MODEL = ('llm generate --prompt "Once upon a time"', "llm chat", "llm evaluate")
_MOST_TO_DO = 5


@dataclass(frozen=True, slots=True)
class Said:
    """The box at the top of the page.

    Attributes:
        text: what happened, a paragraph each.
        todo: what to do about it.
        next: commands to go on with, and `lead` what they are for.
    """

    tone: Tone
    title: str
    text: tuple[str, ...]
    todo: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    lead: str = "Next:"


def state_of(run: ReadRun, status: str, *, newest: bool) -> Json:
    """As the page's own script takes it."""
    asked = sorted(request.value for request in Control(run.folder.path).pending())
    said = None if status == LIVE else asdict(_noted(run, _said(run, status, newest=newest)))
    return {
        "status": status,
        "live": status == LIVE,
        "asked": asked,
        "step": run.step(),
        "saved": _saved(run),
        "said": said,
    }


def _saved(run: ReadRun) -> Json | None:
    """The latest checkpoint; its time tells it from another of the same step."""
    last = run.history.latest("checkpoint")
    return {key: last.get(key) for key in ("step", "time", "reason")} if last else None


def _said(run: ReadRun, status: str, *, newest: bool) -> Said:
    if status == "completed":
        return _completed(run)
    go_on = (resume_command(run.folder, newest=newest),)
    at, error = _at(run), shown(run.history.latest("train_end").get("error"))
    match status:
        case "paused":
            return _paused(run, at, go_on)
        case "interrupted":
            return Said("quiet", "Interrupted", (f"The run was stopped {at}.",), next=go_on)
        case "diverged":
            what = error or f"The loss stopped being a number {at}."
            return Said("problematic", "It went wrong", (_sentence(what), *_back(run)))
        case "killed":
            text = f"The run ended {at} without a word: power, memory, or somebody killed it."
            return Said("problematic", "The run was killed", (text,), next=go_on)
    return Said("problematic", "The run failed", (error or f"It ended {at}.",), next=go_on)


def _at(run: ReadRun) -> str:
    step, total = _steps(run), run.total_steps()
    return f"at step {count(step)}" + (f" of {count(total)}" if total else "")


def _steps(run: ReadRun) -> int:
    steps = run.summary().get("steps")
    return steps if isinstance(steps, int) else run.step()


def _paused(run: ReadRun, at: str, go_on: tuple[str, ...]) -> Said:
    """Halted by whoever watches, or by a callback that had its reason."""
    halted = f"The run halted {at} and saved what it learnt."
    told = run.summary().get("paused_for")
    given = told if isinstance(told, dict) else {}
    reason = shown(given.get("reason"))
    if not reason:
        return Said("quiet", "Paused", (halted,), next=go_on)
    todo = _texts(given.get("suggestions"))
    title, lead = "Paused: something is wrong", "To go on as it is:"
    return Said("problematic", title, (halted, f"Why: {reason}"), todo, go_on, lead)


def _completed(run: ReadRun) -> Said:
    model = run.history.latest("train_end").get("model")
    commands = _WITH_A_MODEL if isinstance(model, str) else ()
    text = (" ".join(_facts(run, model)), *_back(run))
    told = verdict_on(run, unfinished=False)
    if told is None or told.zone != "problematic":
        return Said(told.zone if told else "good", "Training is complete", text, next=commands)
    title, lead = "Training is over, but not well", "To try it as it is:"
    why = () if closing_note(run) else (told.reason,)
    return Said(told.zone, title, (*text, *why), next=commands, lead=lead)


def _facts(run: ReadRun, model: object) -> Iterable[str]:
    """What a complete run took and brought."""
    summary = run.summary()
    loss, per_byte = finite(summary.get("val_loss")), finite(summary.get("val_bits_per_byte"))
    seconds = finite(summary.get("wall_seconds")) or 0.0
    yield f"{counted(_steps(run), 'step')} in {duration(seconds)}."
    if loss is not None:
        better = f" ({bits(per_byte)})" if per_byte is not None else ""
        yield f"Validation loss {nats(loss, 3)}{better}."
    if isinstance(model, str):
        saved = "/".join(PurePath(model).parts[-2:])
        yield f"The model is saved as {shown(saved)}."


def went_back(run: ReadRun) -> str:
    """How often the run went back, and where from and to; "" if it never did."""
    times = run.history.went_back
    if not times:
        return ""
    at, to = times[-1]
    often = "once" if len(times) == 1 else f"{len(times)} times, last"
    where = f"step {count(to)}" if to else "its beginning"
    return f"it went back, {often} from step {count(at)} to {where}"


def _back(run: ReadRun) -> Iterable[str]:
    if told := went_back(run):
        yield f"On the way {told} (see Warnings)."


def _noted(run: ReadRun, said: Said) -> Said:
    """With the note that a callback closed the session with, such as its verdict on the model."""
    note = closing_note(run)
    if not (text := shown(note.get("message"))):
        return said
    todo = (*said.todo, *advice(note.get("suggestion")))
    return replace(said, text=(*said.text, _sentence(text)), todo=todo)


def closing_note(run: ReadRun) -> Event:
    """The last note of the session, if it was told at its end; or nothing."""
    ended, last = run.history.latest("train_end"), run.history.latest("warning")
    at_the_end = all(last.get(key) == ended.get(key) for key in ("session", "step"))
    return last if last.get("level") == "note" and at_the_end else {}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _texts(given: object) -> tuple[str, ...]:
    texts = map(shown, given) if isinstance(given, list | tuple) else ()
    return tuple(filter(None, texts))[:_MOST_TO_DO]
