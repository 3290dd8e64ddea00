"""Writers of one file and of one folder, both through a `Disk`."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from create_llm.storage.disk import Disk
from create_llm.storage.manifest import FORMAT, MANIFEST, FileRecord, blocks, hash_file

_BUFFER = 1 << 20


@contextlib.contextmanager
def about(path: Path) -> Iterator[None]:
    """Errors inside name the path; those of an open file come without one."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


class FileWriter:
    """A new file, hashed on its way to the disk; it is gone again unless it is committed.

    Nothing here is tried again: after a failed synchronisation only another file can be trusted.
    """

    def __init__(self, disk: Disk, path: Path) -> None:
        self.path = path
        self._disk = disk
        self._digest, self._size = hashlib.sha256(), 0
        self._buffer = bytearray()
        self._open = True
        with about(path):
            self._file = disk.create(path)

    def write(self, chunk: bytes | memoryview) -> None:
        """Add bytes; many small ones reach the disk as one write."""
        if len(self._buffer) + len(chunk) > _BUFFER:
            self._flush()
        if len(chunk) > _BUFFER:
            self._put(chunk)
        else:
            self._buffer += chunk

    def commit(self) -> FileRecord:
        """Synchronise and close it."""
        try:
            self._flush()
            with about(self.path):
                self._file.sync()
                self._file.close()
        except BaseException:
            self.abandon()
            raise
        self._open = False
        return FileRecord(self._size, self._digest.hexdigest())

    def abandon(self) -> None:
        """Close and remove it, unless it was committed; the error on its way up says why."""
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):  # the next opening of the store removes it
            self._disk.unlink(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.abandon()

    def _flush(self) -> None:
        if self._buffer:
            self._put(self._buffer)
            self._buffer = bytearray()

    def _put(self, data: bytes | bytearray | memoryview) -> None:
        with about(self.path):
            self._file.write(memoryview(data))
        self._digest.update(data)
        self._size += len(data)


class FolderWriter:
    """Adds files to a folder that is not committed yet."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self.folder = folder
        self._disk = disk
        self._files: dict[str, FileRecord] = {}

    def write(self, name: str, chunks: Iterable[bytes | memoryview]) -> None:
        with FileWriter(self._disk, self.folder / name) as file:
            for chunk in chunks:
                file.write(chunk)
            self._files[name] = file.commit()

    def write_json(self, name: str, value: object) -> None:
        self.write(name, [json.dumps(value, indent=2, ensure_ascii=False).encode()])

    def link(self, name: str, source: Path, record: FileRecord) -> None:
        """Add an existing, immutable file without copying it where the disk allows that."""
        try:
            self._disk.link(source, self.folder / name)
        except OSError:  # another file system, or one without hard links
            self.write(name, blocks(source))
        self._files[name] = record

    def adopt(self, name: str) -> None:
        """Make a file durable that a library has written into the folder by itself."""
        self._disk.sync_file(self.folder / name)
        self._files[name] = hash_file(self.folder / name)

    def write_manifest(self) -> None:
        files = {name: asdict(record) for name, record in sorted(self._files.items())}
        self.write_json(MANIFEST, {"format": FORMAT, "files": files})
