"""The runs of a project as a page reads them: from their files alone, live or over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from create_llm.runs.report import LIVE
from create_llm.runs.run import RunFolder
from create_llm_dashboard.history import History
from create_llm_dashboard.series import finite

_FIGURES = (
    "steps",
    "wall_seconds",
    "val_loss",
    "val_bits_per_byte",
    "flops_utilisation",
    "peak_flops",
)


class ReadRun:
    """One run: its files, and its events as far as they have been read."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.history = History(folder.events)
        self._manifest: tuple[int, dict[str, Any]] = (-1, {})

    @property
    def name(self) -> str:
        return self.folder.name

    def status(self) -> str:
        """running, killed, or what the summary says; unreadable where that cannot be read."""
        try:
            return self.folder.status()
        except (OSError, RecursionError):
            return "unreadable"

    def is_live(self) -> bool:
        return self.status() == LIVE

    def manifest(self) -> dict[str, Any]:
        """run.json, read anew when it has changed."""
        path = self.folder.path / "run.json"
        changed = path.stat().st_mtime_ns if path.is_file() else 0
        if self._manifest[0] != changed:
            self._manifest = (changed, self.folder.manifest())
        return self._manifest[1]

    def summary(self) -> dict[str, Any]:
        """summary.json, without figures that are none."""
        found = self.folder.summary()
        odd = [name for name in _FIGURES if finite(found.get(name)) is None]
        return {name: value for name, value in found.items() if name not in odd}

    def total_steps(self) -> int | None:
        total = self.history.latest("train_start").get("total_steps")
        return total if isinstance(total, int) else None

    def step(self) -> int:
        """Optimizer updates that were told of."""
        steps = self.history.steps["step"]
        ended: int = self.history.latest("train_end").get("step", 0)
        return max(int(steps[-1]) if len(steps) else 0, ended)

    def silent_seconds(self) -> float:
        """Since its last event."""
        if self.history.last_time is None:
            return 0.0
        return max((datetime.now(UTC) - self.history.last_time).total_seconds(), 0.0)


class Runs:
    """All runs of a project, each read once for all who look.

    Args:
        folders: lists them, oldest first, as they are now.
    """

    def __init__(self, folders: Callable[[], Iterable[RunFolder]]) -> None:
        self._folders = folders
        self._known: dict[str, ReadRun] = {}
        self._lock = threading.Lock()

    def all(self) -> list[ReadRun]:
        """Oldest first."""
        with self._lock:
            folders = {folder.name: folder for folder in self._folders()}
            self._known = {
                name: self._known.get(name) or ReadRun(folder) for name, folder in folders.items()
            }
            return list(self._known.values())

    def called(self, name: str) -> ReadRun | None:
        """By name among those there are: what a page asks for is never taken for a path."""
        return next((run for run in self.all() if run.name == name), None)

    def meant(self) -> ReadRun | None:
        """The live one, or else the newest."""
        runs = self.all()
        return next((run for run in reversed(runs) if run.is_live()), runs[-1] if runs else None)
