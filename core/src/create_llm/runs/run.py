"""A run on disk: `logs/<run>/` with its manifest, events, summary and log."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from create_llm.runs.lock import is_held
from create_llm.storage.durable import Storage

MANIFEST_SCHEMA = 1
SUMMARY_SCHEMA = 1
_STEP = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run.

    Attributes:
        path: logs/<run>.
        checkpoints: checkpoints/<run>.
    """

    path: Path
    checkpoints: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    def manifest(self) -> dict[str, Any]:
        """run.json: what this run is; empty if it was never written."""
        return _read_json(self.path / "run.json")

    def summary(self) -> dict[str, Any]:
        """summary.json: how the run ended; empty while it has not."""
        return _read_json(self.path / "summary.json")

    def status(self) -> str:
        """completed, paused, interrupted, failed or diverged; running while it is alive.

        A run that was killed left no summary, and nobody holds its lock.
        """
        ended = self.summary().get("status")
        return str(ended or ("running" if is_held(self.path) else "killed"))

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, ascending; only looked at, not verified."""
        folders = self.checkpoints.iterdir() if self.checkpoints.is_dir() else ()
        found = (_STEP.fullmatch(path.name) for path in folders)
        return sorted(int(match[1]) for match in found if match)

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:08d}"

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        self._write("run.json", {"schema": MANIFEST_SCHEMA, **manifest})

    def write_summary(self, summary: dict[str, Any]) -> None:
        self._write("summary.json", summary)

    def forget_summary(self) -> None:
        """A run that goes on has no summary until it ends again."""
        (self.path / "summary.json").unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove what is left of a run that never began; only for whoever holds its lock."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _write(self, name: str, value: dict[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(value, indent=2, ensure_ascii=False)
        Storage().replace_file(self.path / name, text.encode())


def run_folder(logs: Path, checkpoints: Path, name: str) -> RunFolder:
    return RunFolder(logs / name, checkpoints / name)


def runs_of(logs: Path, checkpoints: Path) -> Iterator[RunFolder]:
    """The runs of a project, oldest first."""
    if not logs.is_dir():
        return
    for path in sorted(logs.iterdir()):
        if (path / "run.json").is_file():
            yield run_folder(logs, checkpoints, path.name)


def new_run(logs: Path, checkpoints: Path, now: datetime) -> RunFolder:
    """A folder for a new run, named by the local time so that names sort by age."""
    storage, stem = Storage(), now.strftime("%Y%m%d-%H%M%S")
    storage.make_folder(logs)
    for attempt in range(1, 1000):
        path = logs / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            storage.disk.make_folder(path)
        except FileExistsError:
            continue
        storage.sync_folder(logs)  # a run that a power loss takes the name of is lost with it
        return run_folder(logs, checkpoints, path.name)
    raise FileExistsError(f"{logs / stem}: a thousand runs were started in this second")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
