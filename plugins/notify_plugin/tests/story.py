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

from create_llm.runs.events import Event, ProgressMade, TrainEnd, TrainStart
from create_llm.testing import events
from create_llm.training.callbacks import Warn
from create_llm.training.dispatch import Dispatcher, Dropped
from create_llm_notify.callback import Notify
from create_llm_notify.config import NotifyConfig

SECONDS = 20.0
"""What a test waits for at the most."""


def train_start(folder: Path, **changes: Any) -> TrainStart:
    return events.train_start(folder, **{"run": "r1", **changes})


def progress(step: int, **changes: Any) -> ProgressMade:
    fields: dict[str, Any] = {"doing": "train", "done": step, "total": 20, "eta_seconds": 65.0}
    return ProgressMade(step=step, **(fields | changes))


def train_end(step: int = 20, status: str = "completed", **changes: Any) -> TrainEnd:
    error = None if status == "completed" else "the loss of step 11 is not a number"
    return events.train_end(step, status, **{"error": error, **changes})


def whole_run(folder: Path) -> list[Event]:
    return [train_start(folder), *map(progress, range(1, 21)), train_end()]


def play(heard: Iterable[Event], **config: Any) -> list[Warn]:
    """What it says to the events; a callback that raises, or asks for something, fails the test."""
    dropped: list[Dropped] = []
    notify = Notify(NotifyConfig(**config))
    dispatcher = Dispatcher([("notify", notify)], dropped.append)
    answers = [answer for event in heard for answer in dispatcher.emit(event)]
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
