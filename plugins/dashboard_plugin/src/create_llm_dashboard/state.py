"""What the top of the page says of a run: its status, and how it ended with what to do next."""

from __future__ import annotations

from pathlib import PurePath

from create_llm.cli.units import bits, count, counted, duration
from create_llm.runs.control import Control
from create_llm.runs.page import printable
from create_llm.runs.report import LIVE, resume_command
from create_llm_dashboard.panel import Json
from create_llm_dashboard.reading import ReadRun

_WITH_A_MODEL = ('llm generate --prompt "Once upon a time"', "llm chat", "llm evaluate")


def state_of(run: ReadRun, status: str, *, newest: bool) -> Json:
    """As the page's own script takes it."""
    asked = sorted(request.value for request in Control(run.folder.path).pending())
    said = _said(run, status, newest=newest)
    return {"status": status, "live": status == LIVE, "asked": asked, "said": said}


def _said(run: ReadRun, status: str, *, newest: bool) -> Json | None:
    """A title, what happened, and commands to go on with."""
    if status == LIVE:
        return None
    go_on = resume_command(run.folder, newest=newest)
    total, summary = run.total_steps(), run.summary()
    step = summary.get("steps", run.step())
    at = f"at step {count(step)}" + (f" of {count(total)}" if total else "")
    if status == "completed":
        return _completed(run, step)
    error = printable(str(run.history.latest("train_end").get("error") or ""))
    match status:
        case "paused":
            return _message(
                "quiet", "Paused", f"The run halted {at} and saved what it learnt.", go_on
            )
        case "interrupted":
            return _message("quiet", "Interrupted", f"The run was stopped {at}.", go_on)
        case "diverged":
            return _message(
                "bad", "It went wrong", error or f"The loss stopped being a number {at}."
            )
        case "killed":
            text = f"The run ended {at} without a word: power, memory, or somebody killed it."
            return _message("bad", "The run was killed", text, go_on)
    return _message("bad", "The run failed", error or f"It ended {at}.", go_on)


def _completed(run: ReadRun, step: int) -> Json:
    summary, ended = run.summary(), run.history.latest("train_end")
    facts = [f"{counted(step, 'step')} in {duration(summary.get('wall_seconds', 0.0))}."]
    loss, per_byte = summary.get("val_loss"), summary.get("val_bits_per_byte")
    if isinstance(loss, float):
        better = f" ({bits(per_byte)})" if isinstance(per_byte, float) else ""
        facts.append(f"Validation loss {loss:.3f}{better}.")
    model = ended.get("model")
    if isinstance(model, str):
        saved = "/".join(PurePath(model).parts[-2:])
        facts.append(f"The model is saved as {printable(saved)}.")
    commands = _WITH_A_MODEL if isinstance(model, str) else ()
    return _message("good", "Training is complete", " ".join(facts), *commands)


def _message(tone: str, title: str, text: str, *commands: str) -> Json:
    return {"tone": tone, "title": title, "text": text, "next": list(commands)}
