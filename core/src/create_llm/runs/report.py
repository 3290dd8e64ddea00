"""How far a run has come and what it takes, read from its files: live, paused or long over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from create_llm.runs.again import resume_command
from create_llm.runs.events import read_events
from create_llm.runs.lock import holder_of
from create_llm.runs.run import RunFolder

LIVE = "running"
_WARNINGS = 8


@dataclass(frozen=True, slots=True)
class Progress:
    """What the events of a run add up to; None where no event says it.

    Attributes:
        step: optimizer updates at the last event.
        saved_step: of the last checkpoint that was reported as durable.
        elapsed_seconds: from each session's first event to its last.
        eta_seconds: at the last `step` event.
        tokens_per_second, memory_bytes: of the last `step` event.
        scores: (step, validation loss) of the run as it stands, without steps that were taken
            again.
        learning_rate, gradient_clip: of the last session, with what it does otherwise since the run
            went back.
        last_event: when it was.
        warnings: the last few, oldest first; what was said several times counts as last said.
    """

    step: int = 0
    total_steps: int | None = None
    saved_step: int | None = None
    elapsed_seconds: float = 0.0
    eta_seconds: float | None = None
    tokens_per_second: float | None = None
    memory_bytes: int | None = None
    scores: tuple[tuple[int, float], ...] = ()
    learning_rate: float | None = None
    gradient_clip: float | None = None
    last_event: datetime | None = None
    warnings: tuple[Mapping[str, Any], ...] = ()

    def best(self) -> tuple[int, float] | None:
        """The step with the lowest validation loss, and that loss."""
        return min(self.scores, key=lambda score: score[1], default=None)


def read_progress(events: Path) -> Progress:
    """Add up a file of events; there may be none yet."""
    return progress_of(read_events(events)) if events.is_file() else Progress()


def progress_of(events: Iterable[dict[str, Any]]) -> Progress:
    """Add up events as they were written."""
    progress, session = Progress(), None
    for event in filter(is_event, events):
        time = datetime.fromisoformat(event["time"])
        if session == event["session"] and progress.last_event is not None:
            passed = (time - progress.last_event).total_seconds()
            # A clock that was put back must not take time away.
            elapsed = progress.elapsed_seconds + max(passed, 0.0)
            progress = replace(progress, elapsed_seconds=elapsed)
        session = event["session"]
        progress = replace(_with(progress, event), step=event["step"], last_event=time)
    return progress


def is_event(line: object) -> bool:
    """Whether it is whole: a power cut can leave anything, and an editor too."""
    if not isinstance(line, dict) or not {"event", "time", "step", "session"} <= line.keys():
        return False
    try:
        time = datetime.fromisoformat(line["time"])
    except (TypeError, ValueError):
        return False
    return time.tzinfo is not None and isinstance(line["step"], int)


def _with(progress: Progress, event: dict[str, Any]) -> Progress:
    match event["event"]:
        case "train_start":
            resumed = event.get("resumed_from") or 0
            kept = tuple(score for score in progress.scores if score[0] <= resumed)
            saved = min(progress.saved_step or 0, resumed) or None
            total = event.get("total_steps")
            peak, clip = event.get("learning_rate"), event.get("gradient_clip")
            progress = replace(progress, learning_rate=peak, gradient_clip=clip)
            return replace(progress, total_steps=total, scores=kept, saved_step=saved)
        case "step":
            return replace(
                progress,
                eta_seconds=event.get("eta_seconds"),
                tokens_per_second=event.get("tokens_per_second"),
                memory_bytes=event.get("memory_bytes"),
            )
        case "eval" if event.get("val_loss") is not None:
            return replace(progress, scores=(*progress.scores, (event["step"], event["val_loss"])))
        case "checkpoint":
            return replace(progress, saved_step=event["step"])
        case "warning" if isinstance(event.get("message"), str):
            told = {key: event.get(key) for key in ("step", "level", "message", "suggestion")}
            others = (each for each in progress.warnings if each["message"] != told["message"])
            return replace(progress, warnings=(*others, told)[-_WARNINGS:])
    return progress


def report(run: RunFolder, *, newest: bool = True) -> dict[str, object]:
    """What `llm runs show` tells of a run, by its JSON names; None for what is not known.

    Args:
        newest: whether it is the newest run of its project, which `llm train` goes on with.
    """
    manifest, summary, status = run.manifest(), run.summary(), run.status()
    progress = read_progress(run.events)
    best, steps = progress.best(), run.steps()
    checkpoint = run.checkpoint(steps[-1]) if steps else None
    live = status == LIVE
    holder = holder_of(run.path) if live else None
    return {
        "run": run.name,
        "status": status,
        "process": str(holder) if holder else None,
        "step": summary.get("steps", progress.step),
        "total_steps": progress.total_steps,
        "elapsed_seconds": summary.get("wall_seconds", _elapsed(progress, live=live)),
        "remaining_seconds": _remaining(progress, status),
        "tokens_per_second": progress.tokens_per_second,
        "memory_bytes": progress.memory_bytes,
        "device": manifest.get("frozen", {}).get("device"),
        "best_val_loss": best[1] if best else None,
        "best_step": best[0] if best else None,
        "checkpoint": str(checkpoint) if checkpoint else None,
        "checkpoint_bytes": disk_bytes(checkpoint) if checkpoint else None,
        "disk_bytes": disk_bytes(run.path, run.checkpoints),
        "remedies": manifest.get("remedies", []),
        "learning_rate": progress.learning_rate,
        "gradient_clip": progress.gradient_clip,
        "warnings": list(progress.warnings),
        "resume": resume_command(run, newest=newest) if status not in ("completed", LIVE) else None,
    }


def disk_bytes(*folders: Path) -> int:
    """What folders take on the disk; a file that has several names there counts once."""
    sizes = {}
    for path in (path for folder in folders for path in folder.rglob("*")):
        try:
            stat = path.lstat()
        except FileNotFoundError:  # a live run rotates
            continue
        if not path.is_dir():
            sizes[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(sizes.values())


def _elapsed(progress: Progress, *, live: bool) -> float:
    return progress.elapsed_seconds + (_since(progress) if live else 0.0)


def _remaining(progress: Progress, status: str) -> float | None:
    """By the speed at the last `step` event; of a live run, less what has passed since."""
    if status == "completed" or progress.eta_seconds is None:
        return None
    return max(progress.eta_seconds - (_since(progress) if status == LIVE else 0.0), 0.0)


def _since(progress: Progress) -> float:
    if progress.last_event is None:
        return 0.0
    return max((datetime.now(UTC) - progress.last_event).total_seconds(), 0.0)
