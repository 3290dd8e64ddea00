"""The system calls that durable writes are made of: one small method each.

Nothing else in the durable path asks the system to write, so that a subclass can record the
calls, fail or stop at any of them, or play a disk that loses power.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

if sys.platform == "darwin":
    import fcntl


class DiskFile:
    """A file that was just created, open for writing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Unbuffered: every write is a call of its own, and none is left over for `close`.
        self._file = path.open("xb", buffering=0)

    def write(self, data: bytes | memoryview) -> None:
        """Write all of it; the system may take it in several parts."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self._file.write(rest) :]

    def sync(self) -> None:
        """Return once the content is on the medium.

        After an error here the file is lost: the system may have dropped its pages and would call
        the next attempt a success (https://wiki.postgresql.org/wiki/Fsync_Errors).
        """
        _sync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class Disk:
    """The real disk. Every method raises OSError as the system gave it."""

    def create(self, path: Path) -> DiskFile:
        """A new file.

        Raises:
            FileExistsError: something has that name.
        """
        return DiskFile(path)

    def make_folder(self, path: Path) -> None:
        """A new folder, with the parents that are missing.

        Raises:
            FileExistsError: something has that name.
        """
        path.mkdir(parents=True)

    def link(self, source: Path, target: Path) -> None:
        """A second name for a file."""
        target.hardlink_to(source)

    def rename(self, source: Path, target: Path) -> None:
        """In one step; a file replaces a file, a folder never one that holds something."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        """Remove a folder that is empty."""
        path.rmdir()

    def sync_file(self, path: Path) -> None:
        """Return once the content of a file that something else has written is on the medium."""
        with path.open("r+b") as file:
            _sync(file.fileno())

    def sync_folder(self, path: Path) -> None:
        """Return once the names in a folder are on the medium."""
        if os.name == "nt":  # Windows cannot open folders; its renames are journalled.
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            _sync(descriptor)
        except OSError as error:
            # Some network disks synchronise no folders. PostgreSQL goes on then, too:
            # https://github.com/postgres/postgres/blob/master/src/common/file_utils.c
            if error.errno not in (errno.EBADF, errno.EINVAL):
                raise
        finally:
            os.close(descriptor)

    def free_bytes(self, path: Path) -> int:
        """Bytes that this user may still write to the disk of `path`, which exists."""
        return shutil.disk_usage(path).free


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":
        try:  # fsync leaves the data in the drive's cache there
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError:  # not every file system has it; fsync reports what is truly wrong
            os.fsync(descriptor)
    else:
        os.fsync(descriptor)
