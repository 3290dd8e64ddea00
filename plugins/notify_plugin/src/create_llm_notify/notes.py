"""What the callback leaves in a run's folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from create_llm.errors import StorageError
from create_llm.runs.events import TrainStart
from create_llm.storage.durable import Storage
from create_llm_notify.words import Message

SCHEMA = 1


class Notes:
    """Its methods never raise: a full disk is the run's to report, and nothing here is worth more
    than a notification that comes twice.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._told = folder / "notified.json"
        self._log = folder / "train.log"

    def told_until(self) -> int:
        """The step of the latest notification of the run, its earlier sessions included."""
        with contextlib.suppress(OSError, ValueError):
            told = json.loads(self._told.read_text(encoding="utf-8"))
            if isinstance(told, dict) and isinstance(told.get("step"), int):
                return int(told["step"])
        return 0

    def told(self, message: Message) -> None:
        """Waits for the disk."""
        step = max(message.step, self.told_until())
        value = json.dumps({"schema": SCHEMA, "step": step})
        with contextlib.suppress(OSError, StorageError):
            Storage().replace_file(self._told, value.encode())

    def quiet(self, why: str) -> None:
        """One line in train.log."""
        from create_llm.training.session import TextLog  # not above: it brings torch

        with contextlib.suppress(OSError):
            log = TextLog(self._log)
            try:
                log.write(f"notify: no desktop notifications: {why}\n")
            finally:
                log.close()


def ahead(percents: Iterable[int], run: TrainStart, told_until: int) -> list[tuple[int, int]]:
    """The milestones that are still to come: (step, percent), in order.

    A run that goes on from a checkpoint takes some steps again; what they passed was told. Those
    at the last step are left out, as the end of the run has words of its own.
    """
    steps = {-(-run.total_steps * percent // 100): percent for percent in sorted(percents)}
    past = max(run.step, told_until)
    return [(step, percent) for step, percent in steps.items() if past < step < run.total_steps]
