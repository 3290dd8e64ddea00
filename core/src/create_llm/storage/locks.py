"""Locks on open files, which the system frees when their holder ends, however it ends."""

from __future__ import annotations

import os
import sys
import time
from typing import IO

if sys.platform == "win32":
    import msvcrt

    # A locked byte cannot be read by others there, so it lies far behind what is in the file.
    _BYTE = 1 << 30
    _PAUSE_SECONDS = 0.1

    def try_lock(file: IO[str] | IO[bytes]) -> bool:
        """Take the lock; False if another process, or another opening of the file, has it."""
        os.lseek(file.fileno(), _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(file.fileno(), 0, os.SEEK_SET)
        return True

    def wait_for_lock(file: IO[str] | IO[bytes]) -> None:
        """Take the lock as soon as it is free."""
        while not try_lock(file):
            time.sleep(_PAUSE_SECONDS)

    def unlock(file: IO[str] | IO[bytes]) -> None:
        """Give the lock back; closing the file does so too, but not always at once there."""
        os.lseek(file.fileno(), _BYTE, os.SEEK_SET)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

    def is_locked(file: IO[bytes]) -> bool:
        """Whether another process, or another opening of the file, has the lock."""
        free = try_lock(file)
        if free:
            unlock(file)
        return not free

else:
    import fcntl

    def try_lock(file: IO[str] | IO[bytes]) -> bool:
        """Take the lock; False if another process, or another opening of the file, has it."""
        return _flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def wait_for_lock(file: IO[str] | IO[bytes]) -> None:
        """Take the lock as soon as it is free."""
        fcntl.flock(file, fcntl.LOCK_EX)

    def unlock(file: IO[str] | IO[bytes]) -> None:
        """Give the lock back; closing the file does so too."""
        fcntl.flock(file, fcntl.LOCK_UN)

    def is_locked(file: IO[bytes]) -> bool:
        """Whether another process, or another opening of the file, has the lock."""
        # Shared, so that two who ask at once do not take each other for the holder.
        return not _flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def _flock(file: IO[str] | IO[bytes], operation: int) -> bool:
        try:
            fcntl.flock(file, operation)
        except BlockingIOError:
            return False
        return True
