"""Runs as the callback hears of them, in tests and in processes of their own.

python story.py FOLDER: a run without an end
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from create_llm.runs.events import EvalEnd, Event, ProgressMade, StepEnd, TrainEnd, TrainStart
from create_llm.training.callbacks import Warn
from create_llm.training.dispatch import Dispatcher, Dropped
from create_llm_notify.callback import Notify
from create_llm_notify.config import NotifyConfig

SECONDS = 20.0
"""What a test waits for at the most."""


def train_start(folder: Path, **changes: Any) -> TrainStart:
    fields: dict[str, Any] = {
        "step": 0,
        "run": "r1",
        "folder": str(folder),
        "model": "gpt",
        "parameters": 1_012_000,
        "total_steps": 20,
        "steps_per_epoch": 10.0,
        "tokens_per_step": 2048,
        "train_tokens": 1_200_000,
        "val_tokens": 60_000,
        "device": "cpu",
        "precision": "fp32",
        "optimizer": "adamw",
        "seed": 7,
    }
    return TrainStart(**(fields | changes))


def progress(step: int, **changes: Any) -> ProgressMade:
    fields: dict[str, Any] = {"doing": "train", "done": step, "total": 20, "eta_seconds": 65.0}
    return ProgressMade(step=step, **(fields | changes))


def step_end(step: int, loss: float = 5.4321) -> StepEnd:
    return StepEnd(
        step=step,
        loss=loss,
        learning_rate=3e-4,
        tokens_per_second=12345.0,
        grad_norm=1.0,
        eta_seconds=65.0,
        epoch=step / 10,
        tokens=step * 2048,
        memory_bytes=1,
    )


def eval_end(step: int) -> EvalEnd:
    return EvalEnd(step=step, train_loss=5.0, val_loss=5.1, val_bits_per_byte=2.345, best=True)


def train_end(step: int = 20, status: str = "completed", **changes: Any) -> TrainEnd:
    done = status == "completed"
    fields: dict[str, Any] = {
        "status": status,
        "stopped_by": "max_steps",
        "seconds": 125.0,
        "train_loss": 4.0,
        "val_loss": 4.5,
        "val_bits_per_byte": 2.134,
        "model": "/home/p/models/v1" if done else None,
        "error": None if done else "the loss of step 11 is not a number",
    }
    return TrainEnd(step=step, **(fields | changes))


def whole_run(folder: Path) -> list[Event]:
    return [train_start(folder), *map(progress, range(1, 21)), train_end()]


def play(events: Iterable[Event], **config: Any) -> list[Warn]:
    """What it says to the events; a callback that raises, or asks for something, fails the test."""
    dropped: list[Dropped] = []
    notify = Notify(NotifyConfig(**config))
    dispatcher = Dispatcher([("notify", notify)], dropped.append)
    answers = [answer for event in events for answer in dispatcher.emit(event)]
    assert dropped == []
    said = [answer for answer in answers if isinstance(answer, Warn)]
    assert said == answers
    return said


def senders() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "notifications"}


@contextmanager
def all_sent() -> Iterator[None]:
    """Until the notifications of the runs in it are sent, or given up."""
    before = senders()
    yield
    for thread in senders() - before:
        thread.join(SECONDS)
        assert not thread.is_alive()


if __name__ == "__main__":
    play([train_start(Path(sys.argv[1])), progress(10)])
