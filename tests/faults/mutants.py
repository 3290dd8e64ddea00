"""Mistakes put into the storage on purpose: each must break a promise in some crash state."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from create_llm.storage import manifest, writers
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.disk import DiskFile
from create_llm.storage.durable import FolderWriter, Storage
from tests.faults.bench import Bench
from tests.faults.crash_disk import Entry, RecordingDisk, RecordingFile
from tests.faults.figures import Figures
from tests.faults.power import LIMIT, Amount, scenario, states, violations


class NoFileSync(RecordingDisk):
    """`fsync` of files removed."""

    def create(self, path: Path) -> DiskFile:
        file = super().create(path)
        assert isinstance(file, RecordingFile)
        return _Unsynced(file)


class _Unsynced(DiskFile):
    def __init__(self, file: RecordingFile) -> None:
        self.path, self._inner = file.path, file

    def write(self, data: bytes | memoryview) -> None:
        self._inner.write(data)

    def sync(self) -> None: ...

    def close(self) -> None:
        self._inner.close()


class NoFolderSync(RecordingDisk):
    """`fsync` of the folder that is about to be committed removed."""

    def sync_folder(self, path: Path) -> None:
        if not path.name.startswith(".tmp-"):
            super().sync_folder(path)


class NoParentSync(RecordingDisk):
    """`fsync` of the parent, which makes the new name durable, removed."""

    def sync_folder(self, path: Path) -> None:
        if path.name.startswith(".tmp-"):
            super().sync_folder(path)


class EarlyRename(RecordingDisk):
    """The folder gets its name before its manifest is written."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._moved: dict[Path, Path] = {}

    def create(self, path: Path) -> DiskFile:
        folder = path.parent
        if path.name == manifest.MANIFEST and folder.name.startswith(".tmp-step-"):
            name = folder.name.removeprefix(".tmp-").rpartition("-")[0]
            self._moved[folder] = folder.with_name(name)
            super().rename(folder, self._moved[folder])
        return super().create(self._moved.get(folder, folder) / path.name)

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(self._moved.get(path, path))

    def rename(self, source: Path, target: Path) -> None:
        # The storage finds the name taken, and would put its own folder aside for itself.
        aside = source in self._moved.values() and target.name.startswith(".old-")
        if source not in self._moved and not aside:
            super().rename(source, target)


class _NoDigest:
    """A hash that is the same for everything."""

    def update(self, data: object) -> None: ...

    def hexdigest(self) -> str:
        return "0" * 64


class _NoHashlib:
    @staticmethod
    def sha256() -> _NoDigest:
        return _NoDigest()


@contextlib.contextmanager
def _no_hashes() -> Iterator[None]:
    with (
        patch.object(manifest, "hashlib", _NoHashlib),
        patch.object(writers, "hashlib", _NoHashlib),
    ):
        yield


class RotatesFirst(CheckpointStore):
    """Makes room before the new checkpoint is committed."""

    @contextlib.contextmanager
    def commit(self, step: int) -> Iterator[FolderWriter]:
        for old in self.steps()[: 1 - LIMIT]:
            self._storage.remove(self.path(old))
        with super().commit(step) as writer:
            yield writer

    def rotate(self) -> None: ...


class RemovesBestFirst(CheckpointStore):
    """Removes the old `best` before the new one is in place."""

    def mark(self, name: str, step: int, why: dict[str, object]) -> Path:  # type: ignore[override]
        if (self.folder / name).is_dir():
            self._storage.remove(self.folder / name)
        return super().mark(name, step, why)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake: a disk that leaves something out, a store that errs, or a patch."""

    name: str
    disk: type[RecordingDisk] = RecordingDisk
    store: type[CheckpointStore] = CheckpointStore
    patch: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext


MUTANTS = (
    Mutant("fsync of files removed", disk=NoFileSync),
    Mutant("fsync of the folder removed", disk=NoFolderSync),
    Mutant("fsync of the parent removed", disk=NoParentSync),
    Mutant("rename before the manifest", disk=EarlyRename),
    Mutant("manifest without hashes", patch=_no_hashes),
    Mutant("rotation before the commit", store=RotatesFirst),
    Mutant("best removed before the new one is in", store=RemovesBestFirst),
)


def run_mutant(mutant: Mutant, bench: Bench, amount: Amount) -> tuple[int, str | None]:
    """The number of states until the first that breaks a promise, and what it broke."""
    folder = bench.folder("mutant")
    with mutant.patch():
        log = _record(mutant, folder)
        found = violations(log, states(log, amount, bench.seed), bench.folder("states"))
        for number, (crash, wrong) in enumerate(found, 1):
            if wrong:
                return number, f"{crash.kind} at {crash.stop}, {crash.how}: {wrong[0]}"
    return number, None


def _record(mutant: Mutant, folder: Path) -> list[Entry]:
    disk = mutant.disk(folder)
    scenario(disk, mutant.store(folder / "run", LIMIT, Storage(disk)))
    return disk.log


def mutants(bench: Bench, amount: Amount) -> Figures:
    """Every mistake must be caught."""
    figures = Figures("mutants")
    for mutant in MUTANTS:
        number, broken = run_mutant(mutant, bench, amount)
        figures.judge(mutant.name, [] if broken else [f"not caught in {number} states"])
        figures.counts["caught"] += broken is not None
    return figures.closed()
