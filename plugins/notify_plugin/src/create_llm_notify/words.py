"""What notifications say."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from create_llm.cli.units import bits, count, counted, duration, loss
from create_llm.errors import MemoryExhausted
from create_llm.runs.events import EvalEnd, StepEnd, TrainEnd, TrainStart

Kind = Literal["progress", "completed", "error"]

_LONGEST = 240
# Servers read markup in a body: a text with `<img src=…>` must not make one fetch a picture.
# Escaping is no way out, as others show the escapes.
_NO_MARKUP = str.maketrans({"<": "‹", ">": "›", "&": "＆"})


@dataclass(frozen=True, slots=True)
class Message:
    """One notification.

    Attributes:
        kind: decides the urgency and the sound.
        step: which the run was at.
    """

    kind: Kind
    title: str
    body: str
    step: int


@dataclass(slots=True)
class Figures:
    """The latest of a run."""

    step: StepEnd | None = None
    eval: EvalEnd | None = None
    eta_seconds: float | None = None

    def __str__(self) -> str:
        said = []
        if self.eta_seconds is not None and math.isfinite(self.eta_seconds):
            said.append(f"{duration(self.eta_seconds)} left")
        if self.step is not None:
            said.append(f"loss {loss(self.step.loss)}")
        if self.eval is not None:
            said.append(_validation(self.eval.val_loss, self.eval.val_bits_per_byte))
        return ", ".join(said)


def one_line(text: str, longest: int = _LONGEST) -> str:
    """`text` with nothing in it that steers a terminal or reorders what stands around it."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return textwrap.shorten(shown, longest, placeholder=" …")


def milestone(run: TrainStart, percent: int, step: int, figures: Figures) -> Message:
    told = f"step {count(step)} of {count(run.total_steps)}"
    return _message("progress", f"{percent} % of {run.run}", _joined(told, str(figures)), step)


def ending(run: TrainStart, event: TrainEnd) -> Message:
    """How the run ended, for any status but a completed one's."""
    where = f"step {count(event.step)} of {count(run.total_steps)}"
    if event.status == "paused":
        body = _joined(f"at {where}", "go on with: llm train")
        return _message("progress", f"Paused: {run.run}", body, event.step)
    body = _joined(f"at {where} of {run.run}", event.error or event.stopped_by)
    return _message("error", _failure(event), body, event.step)


def completion(run: TrainStart, event: TrainEnd) -> Message:
    made = Path(event.model) if event.model else None
    body = _joined(
        f"{counted(event.step, 'step')} in {duration(event.seconds)}",
        "" if event.val_loss is None else _validation(event.val_loss, event.val_bits_per_byte),
        f"{made.parent.name}/{made.name}" if made else "",
    )
    return _message("completed", f"Finished: {run.run}", body, event.step)


def _failure(event: TrainEnd) -> str:
    if event.stopped_by == MemoryExhausted.__name__:
        return "Out of memory"
    return "Training diverged" if event.status == "diverged" else "Training failed"


def _message(kind: Kind, title: str, body: str, step: int) -> Message:
    return Message(kind, one_line(title, 80), one_line(body).translate(_NO_MARKUP), step)


def _validation(nats: float, bits_per_byte: float | None) -> str:
    said = f"validation loss {loss(nats)}"
    return said if bits_per_byte is None else f"{said}, {bits(bits_per_byte)}"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
