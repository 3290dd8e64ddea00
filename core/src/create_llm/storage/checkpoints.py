"""The checkpoint store of one run: commit, find, verify, rotate."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from create_llm.errors import DataError
from create_llm.storage.durable import FolderWriter, Storage, read_manifest, verify

MARK = "mark.json"
_STEP = re.compile(r"step-(\d{8,})")
FLOOR = 2
"""Step checkpoints that rotation never goes below."""


class CheckpointStore:
    """`step-00000500/` folders of one run, with `best` and `final` beside them.

    Args:
        folder: checkpoints/<run>.
        limit: how many step checkpoints to keep; never fewer than two.
    """

    def __init__(self, folder: Path, limit: int, storage: Storage) -> None:
        self.folder = folder
        self._limit = max(limit, FLOOR)
        self._storage = storage

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """Steps that have a committed folder, ascending; damaged ones included."""
        if not self.folder.is_dir():
            return []
        found = (_STEP.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in found if match)

    def commit(self, step: int) -> AbstractContextManager[FolderWriter]:
        return self._storage.commit(self.path(step))

    def mark(self, name: str, step: int, why: Mapping[str, object]) -> Path:
        """Keep the checkpoint of a step under a name (`best`, `final`), linked where possible.

        `why` goes into mark.json beside the files.
        """
        source = self.path(step)
        records = read_manifest(source)
        with self._storage.commit(self.folder / name) as writer:
            for file, record in records.items():
                writer.link(file, source / file, record)
            writer.write_json(MARK, {"step": step, **why})
        return self.folder / name

    def marked(self, name: str) -> dict[str, object]:
        """What `mark` was told; empty if nothing stands under that name."""
        path = self.folder / name / MARK
        if not path.is_file():
            return {}
        why: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
        return why

    def newest_valid(self, damaged: Callable[[DataError], None]) -> int | None:
        """The newest step whose every byte is as written; `damaged` hears of each that is not."""
        for step in reversed(self.steps()):
            try:
                verify(self.path(step))
            except DataError as error:
                damaged(error)
            else:
                return step
        return None

    def rotate(self) -> None:
        """Delete the oldest step checkpoints above the limit, once the newest has verified."""
        excess = self.steps()[: -self._limit]
        if not excess:
            return
        verify(self.path(self.steps()[-1]))
        for step in excess:
            self._storage.remove(self.path(step))

    def names(self) -> Iterator[str]:
        """Everything committed here: step folders, best, final."""
        yield from (self.path(step).name for step in self.steps())
        yield from (name for name in ("best", "final") if (self.folder / name).is_dir())
