"""The manifest of a committed folder: which files it holds, how long they are, their SHA-256."""

from __future__ import annotations

import errno
import hashlib
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import NoReturn

from create_llm.errors import DataError

MANIFEST = "manifest.json"
FORMAT = 1
MAX_BYTES = 16 << 20
"""Of a manifest: a hundred thousand files, far more than a terabyte of shards comes to."""

_BLOCK = 1 << 20
_SHA256 = frozenset("0123456789abcdef")
_LOST = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO)
"""What is wrong with the folder; all else (no permission, too many open files) is not its fault."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file's size in bytes and SHA-256 (hex)."""

    size: int
    sha256: str


def read_manifest(folder: Path) -> dict[str, FileRecord]:
    """The files that a committed folder says it holds.

    Raises:
        DataError: no manifest, or one that cannot be trusted or is of another format.
    """
    path = folder / MANIFEST
    if _size(folder, path) > MAX_BYTES:
        _refuse(folder, path, f"{MANIFEST} is larger than {MAX_BYTES >> 20} MiB")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        _refuse(folder, path, f"{MANIFEST} cannot be read: {error}")
    except OSError as error:
        _refuse_if_lost(folder, path, error)
        raise
    if not isinstance(manifest, dict) or manifest.get("format") is None:
        _refuse(folder, path, f"{MANIFEST} says no format")
    if manifest["format"] != FORMAT:
        raise DataError(
            f"{folder} has format {manifest['format']!r:.40}; this version reads {FORMAT}",
            where=str(path),
            fixes=("use the version of create-llm that wrote it", _copy(folder)),
        )
    return _records(folder, path, manifest.get("files"))


def verify(folder: Path) -> dict[str, FileRecord]:
    """Hash every file of a committed folder and compare with its manifest.

    Files that the manifest does not name are nobody's business.

    Raises:
        DataError: names the first file that is missing or differs.
    """
    records = read_manifest(folder)
    for name, record in records.items():
        path = folder / name
        try:
            same = _size(folder, path) == record.size and hash_file(path) == record
        except OSError as error:
            _refuse_if_lost(folder, path, error)
            raise
        if not same:
            _refuse(folder, path, f"{name} is not what was written")
    return records


def read_verified(folder: Path, name: str) -> bytes:
    """One small file of a committed folder.

    Raises:
        DataError: it is missing or differs from what was written.
    """
    record = read_manifest(folder).get(name)
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        _refuse_if_lost(folder, folder / name, error)
        raise
    if record is None or FileRecord(len(data), hashlib.sha256(data).hexdigest()) != record:
        _refuse(folder, folder / name, f"{name} is not what was written")
    return data


def hash_file(path: Path) -> FileRecord:
    digest, size = hashlib.sha256(), 0
    for block in blocks(path):
        digest.update(block)
        size += len(block)
    return FileRecord(size, digest.hexdigest())


def blocks(path: Path) -> Iterator[bytes]:
    """A file's content, a block at a time."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _records(folder: Path, path: Path, files: object) -> dict[str, FileRecord]:
    if not isinstance(files, dict) or not files:
        _refuse(folder, path, f"{MANIFEST} names no files")
    records = {}
    for name, entry in files.items():
        if not _is_plain(name):
            _refuse(folder, path, f"{MANIFEST} names {name!r:.80}, which is no file of the folder")
        record = _record(entry)
        if record is None:
            _refuse(folder, path, f"{MANIFEST} has no size and SHA-256 for {name!r:.80}")
        records[name] = record
    return records


def _record(entry: object) -> FileRecord | None:
    if not isinstance(entry, dict):
        return None
    size, sha256 = entry.get("size"), entry.get("sha256")
    if type(size) is not int or size < 0 or not isinstance(sha256, str):
        return None
    return FileRecord(size, sha256) if len(sha256) == 64 and _SHA256.issuperset(sha256) else None


def _is_plain(name: str) -> bool:
    """Whether this is the name of a file in the folder on every system: no separator, no drive."""
    here = name not in ("", "..", MANIFEST) and "\0" not in name
    return here and PureWindowsPath(name).name == name


def _size(folder: Path, path: Path) -> int:
    """Of a file of the folder itself: a link would point at what somebody else may change."""
    try:
        status = path.lstat()
    except OSError as error:
        _refuse_if_lost(folder, path, error)
        raise
    if not stat.S_ISREG(status.st_mode):
        _refuse(folder, path, f"{path.name} is not a regular file")
    return status.st_size


def _refuse_if_lost(folder: Path, path: Path, error: OSError) -> None:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        _refuse(folder, path, f"{path.name} is missing")
    if error.errno in _LOST:
        _refuse(folder, path, f"{path.name} cannot be read: {error.strerror}")


def _refuse(folder: Path, path: Path, reason: str) -> NoReturn:
    raise DataError(
        f"{folder} is damaged: {reason}",
        where=str(path),
        fixes=(_copy(folder), f"or do without it: remove {folder}"),
    )


def _copy(folder: Path) -> str:
    return f"put {folder.name} back from a copy"
