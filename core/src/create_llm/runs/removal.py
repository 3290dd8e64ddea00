"""Making room: archive a version in one file, or remove a version or a run.

Either way the checkpoints of its run go too: they hold the optimizer's state beside the weights,
and are most of what a run takes. Its logs stay with a version, so that the history stays whole.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

from create_llm.errors import ConfigError, DataError
from create_llm.models.bundle import ModelBundle
from create_llm.models.versions import Gone, retire
from create_llm.runs.history import Entry
from create_llm.runs.lock import RunLock
from create_llm.runs.report import LIVE, disk_bytes
from create_llm.storage.durable import Storage, read_manifest, verify
from create_llm.storage.manifest import MANIFEST
from create_llm.storage.writers import FileWriter

ARCHIVE = "archive"
"""The folder in models/ where archives go unless told otherwise."""
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """What making room would do, or did.

    Attributes:
        folders: what goes.
        bytes: what that frees.
        model: whether a model goes with it.
        archive: the file that a version was packed into.
    """

    name: str
    folders: tuple[Path, ...]
    bytes: int
    model: bool = False
    archive: Path | None = None


def room_of(entry: Entry) -> Room:
    """What goes with an entry: of a version that is there its bundle and its run's checkpoints,
    of everything else the run's checkpoints and logs."""
    version, run = entry.version, entry.run
    folders: tuple[Path, ...] = (run.checkpoints,) if run else ()
    if version is not None and version.state in ("present", "damaged"):
        folders = (version.path, *folders)
    elif run is not None:
        folders = (*folders, run.path)
    there = tuple(folder for folder in folders if folder.is_dir())
    return Room(entry.name, there, disk_bytes(*there), entry.bundle is not None)


def refuse_unless_spare(entry: Entry, verb: str, *, force: bool) -> None:
    """
    Raises:
        ConfigError: it is the active version or the best one, and `force` is not given.
    """
    version = entry.version
    if force or version is None or version.gone is not None:
        return
    anyway = f"do it all the same: llm runs {verb} {version.name} --force"
    if version.active:
        raise ConfigError(
            f"{version.name} is the active version, which commands use by default",
            fixes=("make another one active: llm runs use V", anyway),
        )
    if version.best:
        raise ConfigError(
            f"{version.name} has the best score of all versions",
            fixes=("see the others: llm runs list --sort val_bits_per_byte", anyway),
        )


def remove(entry: Entry, models: Path) -> Room:
    """Remove a version with its run's checkpoints, or a run that has no version.

    Raises:
        LockedError: somebody is training that run.
    """
    room = room_of(entry)
    with ExitStack() as held:
        if entry.run is not None:
            held.enter_context(RunLock(entry.run.path))
        _take_away(entry, models, room, None)
    return room


def archive(entry: Entry, models: Path, folder: Path | None) -> Room:
    """Pack a version into FOLDER/vN.tar.gz, read that back, and then remove it.

    The file holds the bundle as `vN/`: unpacked into models/, the version is there again.

    Args:
        folder: None: models/archive.

    Raises:
        ConfigError: it has no model.
        DataError: the bundle is damaged; nothing was removed.
        StorageError: too little space for the archive.
        LockedError: somebody is training that run.
    """
    bundle = entry.bundle
    if bundle is None:
        raise ConfigError(
            f"{entry.name} has no model to archive", fixes=(f"llm runs remove {entry.name}",)
        )
    room = room_of(entry)
    verify(bundle.path)
    target = (folder or models / ARCHIVE) / f"{bundle.name}.tar.gz"
    with ExitStack() as held:
        if entry.run is not None:
            held.enter_context(RunLock(entry.run.path))
        _pack(bundle, target)
        _check(bundle, target)
        _take_away(entry, models, room, target)
    return replace(room, bytes=room.bytes - target.stat().st_size, archive=target)


def spare(entries: Sequence[Entry]) -> list[Room]:
    """What could go, the largest first: neither the active version nor the best one, no live run,
    nor the newest one while it can go on."""
    rooms = [room_of(entry) for entry in entries if _is_spare(entry, entries[-1])]
    return sorted(rooms, key=lambda room: room.bytes, reverse=True)


def _is_spare(entry: Entry, newest: Entry) -> bool:
    version, run = entry.version, entry.run
    if version is not None and (version.active or version.best):
        return False
    if run is None:
        return True
    status = run.status()
    heavy = run.checkpoints.is_dir() or entry.bundle is not None
    return heavy and status != LIVE and (status == "completed" or entry is not newest)


def _take_away(entry: Entry, models: Path, room: Room, archived: Path | None) -> None:
    """The version first: whatever stops this, its note says what has become of it."""
    version, storage = entry.version, Storage()
    for folder in room.folders:
        if version is not None and folder == version.path:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            place = _seen_from(models, archived) if archived else None
            retire(models, version.name, Gone(removed=now, run=version.run, archive=place))
        else:
            storage.remove(folder)


def _seen_from(models: Path, path: Path) -> str:
    return (path.relative_to(models) if path.is_relative_to(models) else path.resolve()).as_posix()


def _pack(bundle: ModelBundle, target: Path) -> None:
    """The archive, durable before it has its name."""
    storage = Storage()
    storage.make_folder(target.parent)
    storage.ensure_free(target.parent, disk_bytes(bundle.path), "the archive")
    temporary = target.with_name(f".tmp-{target.name}-{os.getpid()}")
    with storage.create(temporary) as writer:
        # Weights are noise to a compressor: the fastest level saves what there is to save.
        with (
            gzip.GzipFile("", "wb", 1, cast("IO[bytes]", _Sink(writer)), mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", encoding="utf-8") as tar,
        ):
            for name in (*read_manifest(bundle.path), MANIFEST):
                tar.add(bundle.path / name, f"{bundle.name}/{name}", recursive=False)
        writer.commit()
    storage.disk.rename(temporary, target)
    storage.sync_folder(target.parent)


def _check(bundle: ModelBundle, target: Path) -> None:
    """
    Raises:
        DataError: what the archive gives back is not what the bundle holds.
    """
    records = read_manifest(bundle.path)
    found = {}
    with tarfile.open(target, "r|gz") as tar:
        for member in tar:
            content = tar.extractfile(member)
            found[Path(member.name).name] = _sha256(content) if content else ""
    wrong = [name for name, record in records.items() if found.get(name) != record.sha256]
    if wrong or MANIFEST not in found:
        raise DataError(
            f"the archive does not give {', '.join(wrong) or MANIFEST} back as it was; "
            f"{bundle.name} stays as it is",
            where=str(target),
            fixes=("try another disk: --to FOLDER", "see what the system says of it: dmesg"),
        )


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := content.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


class _Sink:
    """A writer of ours as the file that gzip wants."""

    def __init__(self, writer: FileWriter) -> None:
        self._writer = writer

    def write(self, data: bytes) -> int:
        self._writer.write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing: `commit` is what makes it durable."""
