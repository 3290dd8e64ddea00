"""One writer per run: a lock that the system frees when its holder dies."""

from __future__ import annotations

import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil

from create_llm.errors import LockedError
from create_llm.storage.locks import is_locked, try_lock, unlock

_ASKING_SECONDS = 0.2
"""Whoever asks whether a run is live has its lock for an instant; a page about it does so often."""
_NAME = re.compile(r"pid (\d+) on (\S+)")


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that took a lock, as it named itself there."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}"

    @property
    def is_elsewhere(self) -> bool:
        return self.host != socket.gethostname()

    @property
    def is_dead(self) -> bool:
        """Whether it certainly lives no more; of other machines nothing is known."""
        return not self.is_elsewhere and not psutil.pid_exists(self.pid)


class RunLock:
    """Held while a process writes to a run; names its holder for the one who is refused."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder
        self._file: IO[str] | None = None

    def __enter__(self) -> RunLock:
        path = _path(self._folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
        if not _lock_soon(file):
            file.close()
            raise locked(self._folder)
        file.seek(0)
        file.truncate()
        file.write(str(Holder(os.getpid(), socket.gethostname())))
        file.flush()
        self._file = file
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            unlock(self._file)
            self._file.close()


def _lock_soon(file: IO[str]) -> bool:
    """As `try_lock`, past those who only ask whether somebody has it."""
    until = time.monotonic() + _ASKING_SECONDS
    while not try_lock(file):
        if time.monotonic() >= until:
            return False
        time.sleep(_ASKING_SECONDS / 20)
    return True


def is_held(run_folder: Path) -> bool:
    """Whether a live process writes to this run; where that cannot be asked, it is assumed."""
    try:
        with _path(run_folder).open("rb") as file:
            return is_locked(file)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def refuse_if_live(logs: Path) -> None:
    """
    Raises:
        LockedError: a process works on the newest of the runs in that folder.
    """
    newest = max((path.parent for path in logs.glob("*/lock")), default=None)
    if newest is not None and is_held(newest):
        raise locked(newest)


def holder_of(run_folder: Path) -> Holder | None:
    """Who took the lock last; None if nobody did, or has not yet said so."""
    try:
        match = _NAME.fullmatch(_path(run_folder).read_text(encoding="utf-8").strip())
    except OSError:
        return None
    return Holder(int(match[1]), match[2]) if match else None


def locked(run_folder: Path) -> LockedError:
    """The error for who comes second: who is first, and what can be done."""
    name, holder = run_folder.name, holder_of(run_folder)
    beside = "start another run beside it: llm train --resume never"
    if holder is not None and holder.is_dead:
        return LockedError(
            f"run {name} is locked, though {holder}, which locked it, is dead: a process that it "
            "started still has the lock",
            where=str(_path(run_folder)),
            fixes=(f"find that process and end it: fuser -v {_path(run_folder)}", beside),
        )
    elsewhere = holder is not None and holder.is_elsewhere
    note = ", another machine that shares this folder over the network" if elsewhere else ""
    return LockedError(
        f"run {name} is being trained by {holder or 'another process'}{note}",
        where=str(_path(run_folder)),
        fixes=(f"wait for it to end, or pause it: llm runs pause {name}", beside),
    )


def _path(run_folder: Path) -> Path:
    return run_folder / "lock"
