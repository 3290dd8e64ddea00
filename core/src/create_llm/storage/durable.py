"""Durable writes: everything of a run that must survive goes through `Storage`.

A folder is committed as a whole: files are written into a temporary sibling and synchronised, a
manifest with their sizes and SHA-256 follows, the folder is synchronised and renamed, and then
its parent. A reader sees either the whole folder or none of it; a torn one keeps its `.tmp-`
name and is removed by the next writer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from create_llm.errors import DataError

MANIFEST = "manifest.json"
FORMAT = 1
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file's size in bytes and SHA-256 (hex)."""

    size: int
    sha256: str


class Storage:
    """The only door to durable files, so that faults can be injected in one place."""

    def write(self, path: Path, chunks: Iterable[bytes | memoryview]) -> FileRecord:
        """Write and synchronise a new file; hashed on the way."""
        digest, size = hashlib.sha256(), 0
        with path.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        return FileRecord(size, digest.hexdigest())

    def replace_file(self, path: Path, data: bytes) -> None:
        """Write a small file so that readers see the old content or the new, never a mix."""
        temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
        temporary.unlink(missing_ok=True)
        try:
            self.write(temporary, [data])
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self.sync_folder(path.parent)

    @contextlib.contextmanager
    def commit(self, final: Path, *, replace: bool = True) -> Iterator[FolderWriter]:
        """Write the folder `final`, all or nothing; an existing one is replaced at the end.

        Raises:
            FileExistsError: there is one, and `replace` is False.
        """
        final.parent.mkdir(parents=True, exist_ok=True)
        self._remove_torn(final)
        temporary = final.with_name(f".tmp-{final.name}-{os.getpid()}")
        temporary.mkdir()
        try:
            writer = FolderWriter(self, temporary)
            yield writer
            writer.write_manifest()
            self.sync_folder(temporary)
            self._put_in_place(temporary, final, replace=replace)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        self.sync_folder(final.parent)

    def remove(self, folder: Path) -> None:
        """Remove a committed folder; renamed first, so that no reader sees it half gone."""
        doomed = folder.with_name(f".tmp-{folder.name}-removed")
        shutil.rmtree(doomed, ignore_errors=True)
        folder.rename(doomed)
        shutil.rmtree(doomed)

    def sync_folder(self, folder: Path) -> None:
        if os.name == "nt":  # Windows cannot open folders; its renames are journalled.
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _put_in_place(self, temporary: Path, final: Path, *, replace: bool) -> None:
        if replace and final.exists():
            self.remove(final)
        try:
            temporary.rename(final)
        except OSError as error:  # the system's word for a folder that is not empty differs
            if final.exists():
                raise FileExistsError(f"{final} exists already") from error
            raise

    def _remove_torn(self, final: Path) -> None:
        for torn in final.parent.glob(f".tmp-{final.name}-*"):
            if not _is_running(torn.name.rpartition("-")[2]):
                shutil.rmtree(torn, ignore_errors=True)


def _is_running(pid: str) -> bool:
    """Whether another process with this number lives, whose folder this may be."""
    # Not os.kill(pid, 0), which ends the process on Windows.
    return pid.isdigit() and int(pid) != os.getpid() and psutil.pid_exists(int(pid))


class FolderWriter:
    """Adds files to a folder that is not committed yet."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self.folder = folder
        self._storage = storage
        self._files: dict[str, FileRecord] = {}

    def write(self, name: str, chunks: Iterable[bytes | memoryview]) -> None:
        self._files[name] = self._storage.write(self.folder / name, chunks)

    def write_json(self, name: str, value: object) -> None:
        self.write(name, [json.dumps(value, indent=2, ensure_ascii=False).encode()])

    def link(self, name: str, source: Path, record: FileRecord) -> None:
        """Add an existing, immutable file without copying it where the disk allows that."""
        try:
            (self.folder / name).hardlink_to(source)
        except OSError:  # another file system, or one without hard links
            self.write(name, _blocks(source))
        self._files[name] = record

    def adopt(self) -> None:
        """Take in the files that others wrote into the folder directly, and synchronise them."""
        for path in sorted(self.folder.iterdir()):
            if path.name not in self._files:
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
                self._files[path.name] = hash_file(path)

    def write_manifest(self) -> None:
        files = {name: asdict(record) for name, record in sorted(self._files.items())}
        self.write_json(MANIFEST, {"format": FORMAT, "files": files})


def hash_file(path: Path) -> FileRecord:
    digest, size = hashlib.sha256(), 0
    for block in _blocks(path):
        digest.update(block)
        size += len(block)
    return FileRecord(size, digest.hexdigest())


def read_manifest(folder: Path) -> dict[str, FileRecord]:
    """The files that a committed folder says it holds.

    Raises:
        DataError: no manifest, or one that cannot be read or is of another format.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise DataError(f"{path} has format {manifest['format']}; this version reads {FORMAT}")
        return {name: FileRecord(**record) for name, record in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder} is not a complete folder: {error}", where=str(path)) from error


def verify(folder: Path) -> dict[str, FileRecord]:
    """Hash every file of a committed folder and compare with its manifest.

    Raises:
        DataError: names the first file that is missing or differs.
    """
    records = read_manifest(folder)
    for name, record in records.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise DataError(f"{folder} is damaged: {name} is missing", where=str(path))
        if hash_file(path) != record:
            raise DataError(f"{folder} is damaged: {name} is not what was written", where=str(path))
    return records


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
