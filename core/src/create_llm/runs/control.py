"""Requests to a live run: small files in `logs/<run>/control/`, made whole by a rename."""

from __future__ import annotations

import enum
import os
from pathlib import Path


class Request(enum.Enum):
    """What can be asked of a live run."""

    PAUSE = "pause"
    STOP = "stop"
    CHECKPOINT = "checkpoint"


class Control:
    """The control folder of one run; both sides use this class."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / "control"

    def send(self, request: Request) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{request.value}-{os.getpid()}"
        temporary.touch()
        temporary.replace(self._folder / request.value)

    def pending(self) -> set[Request]:
        """Requests not yet answered; one `scandir` of an almost always empty folder."""
        try:
            with os.scandir(self._folder) as entries:
                names = {entry.name for entry in entries}
        except FileNotFoundError:
            return set()
        return {request for request in Request if request.value in names}

    def clear(self) -> None:
        """Forget what was asked of a session that ended before it could answer."""
        for request in self.pending():
            self.answered(request)

    def answered(self, request: Request) -> None:
        (self._folder / request.value).unlink(missing_ok=True)
