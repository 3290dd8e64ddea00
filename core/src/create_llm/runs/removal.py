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
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

from create_llm.errors import ConfigError, DataError, LockedError
from create_llm.models.bundle import ModelBundle
from create_llm.models.versions import GONE, Gone, gone_error, retire
from create_llm.runs.history import Entry, entry_called, history
from create_llm.runs.lock import RunLock
from create_llm.runs.report import LIVE, disk_bytes
from create_llm.runs.run import runs_of
from create_llm.storage.durable import Storage, verify
from create_llm.storage.locks import try_lock, unlock
from create_llm.storage.manifest import MANIFEST, hash_file
from create_llm.storage.writers import FileWriter

ARCHIVE = "archive"
"""The folder in models/ where archives go unless told otherwise."""
_CACHE = "cache"
"""The folder in a bundle that can be made again: no archive holds it."""
_REMOVING = ".removing"
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


def remove(entry: Entry, models: Path, *, force: bool = False) -> Room:
    """Remove a version with its run's checkpoints, or a run that has no version.

    Raises:
        ConfigError: it is gone, or has become the active or the best version without `force`.
        LockedError: somebody is training that run, or removing another one.
    """
    with _held(entry, models, "remove", force=force) as now:
        room = room_of(now)
        _take_away(now, models, room, None)
    return room


def archive(entry: Entry, models: Path, folder: Path | None, *, force: bool = False) -> Room:
    """Pack a version into FOLDER/vN.tar.gz, read that back, and then remove it.

    The file holds the bundle as `vN/`: unpacked into models/, the version is there again. What
    lies in its folder beside the model goes with it, but for the cache.

    Args:
        folder: None: models/archive.

    Raises:
        ConfigError: it has no model or is gone, it has become the active or the best version
            without `force`, or an archive of something else has that name.
        DataError: the bundle is damaged; nothing was removed.
        StorageError: too little space for the archive.
        LockedError: somebody is training that run, or removing another one.
    """
    with _held(entry, models, "archive", force=force) as now:
        bundle = now.bundle
        if bundle is None:
            raise ConfigError(
                f"{now.name} has no model to archive", fixes=(f"llm runs remove {now.name}",)
            )
        room = room_of(now)
        verify(bundle.path)
        target = (folder or models / ARCHIVE) / f"{bundle.name}.tar.gz"
        if os.path.lexists(target):
            _refuse_unless_same(bundle, target)
        else:
            _pack(bundle, target)
        _check(bundle, target)
        _take_away(now, models, room, target)
    return replace(room, bytes=room.bytes - target.stat().st_size, archive=target)


@contextmanager
def _held(entry: Entry, models: Path, verb: str, *, force: bool) -> Iterator[Entry]:
    """The entry as it is once nobody else can remove or train it: since it was read, and a person
    was asked, it may have become another."""
    with _alone(entry, models):
        if entry.run is not None and not entry.run.path.is_dir():  # the lock would make it again
            raise ConfigError(f"{entry.name} was removed", fixes=("llm runs list",))
        if entry.run is None:
            yield _again(entry, models, verb, force=force)
            return
        with RunLock(entry.run.path):
            yield _again(entry, models, verb, force=force)


@contextmanager
def _alone(entry: Entry, models: Path) -> Iterator[None]:
    """One removal at a time in a project."""
    Storage().make_folder(models)
    with (models / _REMOVING).open("a+", encoding="utf-8") as file:
        if not try_lock(file):
            raise LockedError(
                f"{entry.name} stays for now: another process is removing or archiving here",
                where=str(models),
                fixes=("wait for it to end, then see what is left: llm runs list",),
            )
        try:
            yield
        finally:
            unlock(file)


def _again(entry: Entry, models: Path, verb: str, *, force: bool) -> Entry:
    run = entry.run
    runs = list(runs_of(run.path.parent, run.checkpoints.parent)) if run else []
    now = entry_called(entry.version.name if entry.version else entry.name, history(models, runs))
    before, version = entry.version, now.version
    if version is not None and version.gone is not None and (before is None or not before.gone):
        raise gone_error(models, version.name, version.gone)
    refuse_unless_spare(now, verb, force=force)
    return now


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
            digest = hash_file(archived).sha256 if archived else None
            note = Gone(removed=now, run=version.run, archive=place, sha256=digest)
            retire(models, version.name, note)
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
            for name in _names(bundle.path):
                tar.add(bundle.path / name, f"{bundle.name}/{name}", recursive=False)
        writer.commit()
    _put(storage, temporary, target)


def _put(storage: Storage, temporary: Path, target: Path) -> None:
    """Give it its name, unless another archive has got that in the meantime."""
    try:
        storage.disk.link(temporary, target)
    except FileExistsError as error:
        storage.disk.unlink(temporary)
        raise _taken(target) from error
    except OSError as error:  # a file system without links, as those of many sticks
        if os.path.lexists(target):
            raise _taken(target) from error
        storage.disk.rename(temporary, target)
    else:
        storage.disk.unlink(temporary)
    storage.sync_folder(target.parent)


def _names(folder: Path) -> list[str]:
    """Everything below a bundle but its cache and the note of an earlier removal; folders before
    what they hold, the manifest last."""
    found = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    names = [path.as_posix() for path in found if path.parts[0] not in (_CACHE, GONE)]
    return sorted(names, key=MANIFEST.__eq__)


def _digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file that an archive of it holds; links are kept as links."""
    paths = {name: folder / name for name in _names(folder)}
    return {
        name: hash_file(path).sha256
        for name, path in paths.items()
        if path.is_file() and not path.is_symlink()
    }


def _refuse_unless_same(bundle: ModelBundle, target: Path) -> None:
    """
    Raises:
        ConfigError: what has the name of the archive is not an archive of this very bundle.
    """
    try:
        same = _held_by(target, bundle.name) == _digests(bundle.path)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise _taken(target) from error
    if not same:
        raise _taken(target)


def _taken(target: Path) -> ConfigError:
    return ConfigError(
        "there is a file of that name, which is no archive of this version",
        where=str(target),
        fixes=("put the archive elsewhere: --to FOLDER", "or move that file away"),
    )


def _check(bundle: ModelBundle, target: Path) -> None:
    """
    Raises:
        DataError: what the archive gives back is not what the bundle holds.
    """
    held, found = _digests(bundle.path), _held_by(target, bundle.name)
    wrong = [name for name, digest in held.items() if found.get(name) != digest]
    if wrong:
        raise DataError(
            f"the archive does not give {', '.join(wrong)} back as it was; "
            f"{bundle.name} stays as it is",
            where=str(target),
            fixes=("try another disk: --to FOLDER", "see what the system says of it: dmesg"),
        )


def _held_by(archive: Path, name: str) -> dict[str, str]:
    """The SHA-256 of each file in an archive of `name`, by its path in the bundle."""
    found = {}
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content:
                found[member.name.removeprefix(f"{name}/")] = _sha256(content)
    return found


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
