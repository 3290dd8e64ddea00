"""One writer per run: a lock that the system frees when its holder dies."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import TracebackType
from typing import IO

from create_llm.errors import LockedError
from create_llm.storage.locks import is_locked, try_lock, unlock


class RunLock:
    """Held while a process writes to a run; names its holder for the one who is refused."""

    def __init__(self, run_folder: Path) -> None:
        self._path = run_folder / "lock"
        self._file: IO[str] | None = None

    def __enter__(self) -> RunLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+", encoding="utf-8")
        if not try_lock(file):
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise LockedError(
                f"run {self._path.parent.name} is being trained by {holder}",
                where=str(self._path),
                fixes=(
                    "wait for it to end, or pause it: llm runs pause " + self._path.parent.name,
                    "start another run beside it: llm train --resume never",
                ),
            )
        file.seek(0)
        file.truncate()
        file.write(f"pid {os.getpid()} on {socket.gethostname()}")
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


def is_held(run_folder: Path) -> bool:
    """Whether a live process writes to this run; where that cannot be asked, it is assumed."""
    try:
        with (run_folder / "lock").open("rb") as file:
            return is_locked(file)
    except FileNotFoundError:
        return False
    except OSError:
        return True
