"""A run on disk: `logs/<run>/` with its manifest, events, summary and log."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from create_llm import __version__
from create_llm.errors import DataError
from create_llm.runs.lock import is_held
from create_llm.storage.durable import Storage

MANIFEST_SCHEMA = 1
SUMMARY_SCHEMA = 1
_SHAPES = {"schema": int, "config": dict, "identity": dict, "frozen": dict}
_LEAST = {"divided": 1, "sessions": 1, "looked": 0}
_STEP = re.compile(r"step-(\d{8,})")
_NAME, _NAME_LENGTH = "%Y%m%d-%H%M%S", len("20260102-030405")
_SECOND = timedelta(seconds=1)


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

    def check(self) -> None:
        """
        Raises:
            DataError: run.json is not as it was written: edited, or of a later version.
        """
        manifest = self.manifest()
        wrong = [key for key, kind in _SHAPES.items() if not isinstance(manifest.get(key), kind)]
        wrong += [key for key, least in _LEAST.items() if not _is_count(manifest, key, least)]
        if wrong or manifest["schema"] > MANIFEST_SCHEMA:
            reason = f"{', '.join(wrong)}: missing or of another kind" if wrong else "too new"
            raise DataError(
                f"run {self.name} cannot go on: its run.json is not as create-llm {__version__} "
                f"writes it ({reason})",
                where=str(self.path / "run.json"),
                fixes=(
                    "go on with the version that wrote it",
                    "start a new run: llm train --resume never",
                ),
            )

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
    """A folder for a new run, named by the local time, and so that names sort by age.

    Where a run has that name or a later one, since the clock was put back, the time zone changed or
    two began in one second, the new one is a second past the newest.
    """
    storage = Storage()
    storage.make_folder(logs)
    moment = now.replace(tzinfo=None, microsecond=0)
    while True:
        begun = [time for path in logs.iterdir() if (time := _begun(path.name)) is not None]
        moment = max(moment, max(begun, default=moment - _SECOND) + _SECOND)
        path = logs / moment.strftime(_NAME)
        try:
            storage.disk.make_folder(path)
        except FileExistsError:  # another process was faster
            continue
        storage.sync_folder(logs)  # a run that a power loss takes the name of is lost with it
        return run_folder(logs, checkpoints, path.name)


def _begun(name: str) -> datetime | None:
    """The time that a run is named by; None for what is not named by one."""
    try:
        return datetime.strptime(name[:_NAME_LENGTH], _NAME)
    except ValueError:
        return None


def _is_count(manifest: Mapping[str, Any], key: str, least: int) -> bool:
    value = manifest.get(key, least)
    return isinstance(value, int) and value >= least


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
