"""The checkpoint store of one run: commit, find, verify, rotate."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from create_llm.errors import DataError
from create_llm.storage.durable import Storage
from create_llm.storage.manifest import read_manifest, read_verified, verify
from create_llm.storage.writers import FolderWriter

MARK = "mark.json"
_STEP = re.compile(r"step-(\d{8,})")
FLOOR = 2
"""Valid step checkpoints that rotation never goes below."""

_Fingerprint = frozenset[tuple[str, int, int, int]]


class CheckpointStore:
    """`step-00000500/` folders of one run, with `best` and `final` beside them.

    Opening it puts right what a killed writer left. One thread may write while others read.

    Args:
        folder: checkpoints/<run>.
        limit: how many step checkpoints to keep; never fewer than two.
    """

    def __init__(self, folder: Path, limit: int, storage: Storage) -> None:
        self.folder = folder
        self._limit = max(limit, FLOOR)
        self._storage = storage
        self._committed: int | None = None
        self._verified: dict[int, _Fingerprint] = {}
        storage.heal(folder)

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """Steps that have a committed folder, ascending; damaged ones included."""
        if not self.folder.is_dir():
            return []
        with self._storage.placing:
            names = [path.name for path in self.folder.iterdir() if path.is_dir()]
        found = (_STEP.fullmatch(name) for name in names)
        return sorted(int(match[1]) for match in found if match)

    @contextlib.contextmanager
    def commit(self, step: int) -> Iterator[FolderWriter]:
        """Write the checkpoint of a step; it exists, durably, once the `with` has ended."""
        with self._storage.commit(self.path(step)) as writer:
            yield writer
        self._committed = step

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
        """What `mark` was told; empty if nothing stands under that name.

        Raises:
            DataError: it is not what was written.
        """
        folder = self.folder / name
        with self._storage.placing:
            if not folder.is_dir():
                return {}
            data = read_verified(folder, MARK)
        why: dict[str, object] = json.loads(data)
        return why

    def recall(self, name: str) -> None:
        """Let what stands under a name be found by its step again, where rotation took that.

        Raises:
            DataError: it is not what was written.
        """
        step, source = self.marked(name).get("step"), self.folder / name
        if not isinstance(step, int) or step in self.steps():
            return
        verify(source)
        records = read_manifest(source)
        with self._storage.commit(self.path(step)) as writer:
            for file in records.keys() - {MARK}:
                writer.link(file, source / file, records[file])

    def forget_after(self, step: int) -> None:
        """Remove every checkpoint of a later step, and those under a name too."""
        for name in ("best", "final"):
            marked = self._marked_step(name)
            if marked is None or marked > step:
                self._remove_if_there(self.folder / name)
        for later in reversed([each for each in self.steps() if each > step]):
            self._verified.pop(later, None)
            self._storage.remove(self.path(later))

    def newest_valid(
        self, damaged: Callable[[DataError], None], latest: int | None = None
    ) -> int | None:
        """The newest step whose every byte is as written; `damaged` hears of each that is not.

        Args:
            latest: passes over those that are later.
        """
        steps = [step for step in self.steps() if latest is None or step <= latest]
        for step in reversed(steps):
            try:
                self._verify(step)
            except DataError as error:
                damaged(error)
            else:
                return step
        return None

    def rotate(self) -> None:
        """Delete what is older than the newest valid step checkpoints, as many as the limit says.

        Damaged ones do not count, so the last two good ones stay however many bad ones follow.

        Raises:
            DataError: the checkpoint committed last is not what was written; nothing is deleted.
        """
        self._storage.heal(self.folder)
        steps = self.steps()
        if len(steps) <= self._limit:
            return
        if self._committed in steps:
            self._verify(self._committed)
        for step in self._beyond_limit(steps):
            self._verified.pop(step, None)
            self._storage.remove(self.path(step))

    def names(self) -> list[str]:
        """Everything committed here: step folders, best, final."""
        with self._storage.placing:
            marked = [name for name in ("best", "final") if (self.folder / name).is_dir()]
            return [self.path(step).name for step in self.steps()] + marked

    def _marked_step(self, name: str) -> int | None:
        """None where nothing stands there, or nobody can tell what."""
        try:
            step = self.marked(name).get("step")
        except DataError:
            return None
        return step if isinstance(step, int) else None

    def _remove_if_there(self, folder: Path) -> None:
        if folder.is_dir():
            self._storage.remove(folder)

    def _beyond_limit(self, steps: list[int]) -> list[int]:
        valid = 0
        for place in reversed(range(len(steps))):
            valid += self._is_valid(steps[place])
            if valid == self._limit:
                return steps[:place]
        return []

    def _is_valid(self, step: int) -> bool:
        if self._verified.get(step) == _fingerprint(self.path(step)):
            return True
        try:
            self._verify(step)
        except DataError:  # `newest_valid` tells of it when it matters
            return False
        return True

    def _verify(self, step: int) -> None:
        """Hash every byte, and remember that this process has done so."""
        self._verified.pop(step, None)
        before = _fingerprint(self.path(step))
        verify(self.path(step))
        self._verified[step] = before


def _fingerprint(folder: Path) -> _Fingerprint:
    """Name, inode, time and size of each file: what changes when a file is written again."""
    files = folder.iterdir() if folder.is_dir() else ()
    stats = ((path.name, path.lstat()) for path in files)
    return frozenset((name, stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in stats)
