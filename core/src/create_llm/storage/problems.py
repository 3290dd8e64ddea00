"""Errors of the system in plain words, and which of them are worth another try."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from create_llm.errors import StorageError
from create_llm.storage.leftovers import plain_path

T = TypeVar("T")

PAUSES = (0.25, 1.0, 4.0)
"""Seconds before each further try."""

TRANSIENT = frozenset(
    (errno.EIO, errno.EINTR, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT)
)
"""What may pass by itself; a full or read-only disk does not."""

_ELSEWHERE = "work in a folder on another disk: -C DIR"
_AGAIN = "run the same command again"
KEEP_FEWER = "keep fewer checkpoints: --set checkpoints.save_total_limit=2"
"""Among the fixes of every error that is about too little space."""

_OWNER = "see who may: ls -ld {folder}"
_OPEN_FILES = ("allow more: ulimit -n 4096", "close other programs, then run it again")
_NETWORK = ("check the connection to it", _AGAIN)

_PROBLEMS: dict[int, tuple[str, tuple[str, ...]]] = {
    errno.ENOSPC: ("the disk is full", ("free {needed} on the disk of {folder}", KEEP_FEWER)),
    errno.EDQUOT: (
        "your share of the disk (quota) is used up",
        ("free {needed} of yours on the disk of {folder}", KEEP_FEWER),
    ),
    errno.EROFS: (
        "the disk is read-only",
        (_ELSEWHERE, "systems do that to a disk with errors: see dmesg"),
    ),
    errno.EACCES: ("you may not do that there", (_OWNER, "work in another folder: -C DIR")),
    errno.EPERM: ("you may not do that there", (_OWNER, "work in another folder: -C DIR")),
    errno.EIO: ("the disk reports an error", ("see what the system says of it: dmesg", _ELSEWHERE)),
    errno.EMFILE: ("too many files are open in this process", _OPEN_FILES),
    errno.ENFILE: ("too many files are open on this machine", _OPEN_FILES),
    errno.ESTALE: ("the network disk has lost the file", _NETWORK),
    errno.ETIMEDOUT: ("the network disk does not answer", _NETWORK),
    errno.EBUSY: ("something else is using the file", ("close what uses it", _AGAIN)),
    errno.ENOENT: ("there is no such file or folder", ("check the path", _AGAIN)),
}
_UNKNOWN = ("check the path and the disk", _AGAIN)


def storage_error(
    error: OSError, *, last_good: Path | None = None, needed: int | None = None
) -> StorageError:
    """What the system refused, as an error for people.

    Args:
        last_good: the checkpoint to go on from, if there is one.
        needed: bytes that were to be written, where that is known.
    """
    path = plain_path(Path(os.fsdecode(error.filename))) if _has_path(error) else None
    words, fixes = _PROBLEMS.get(error.errno or 0, ("", _UNKNOWN))
    said = error.strerror or str(error)
    what = f"reading or writing failed: {f'{words} ({said})' if words else said}"
    if last_good is not None:
        what += f"; the last good checkpoint is {last_good}"
    space = f"at least {size(needed)}" if needed else "some space"
    folder = path.parent if path else "the project"
    return StorageError(
        what,
        where=str(path) if path else None,
        fixes=[fix.format(folder=folder, needed=space) for fix in fixes],
    )


def with_retries(
    action: Callable[[], T],
    *,
    wait: Callable[[float], None] = time.sleep,
    last_good: Path | None = None,
    needed: int | None = None,
) -> T:
    """Do something with files, up to three times more where the error may pass.

    `action` begins anew each time, with new files: one whose synchronisation failed stays lost,
    whatever a second attempt on it would say. FileExistsError is an answer, and passes.

    Raises:
        StorageError: what did not pass; `last_good` and `needed` as for `storage_error`.
    """
    pauses = iter(PAUSES)
    while True:
        try:
            return action()
        except FileExistsError:
            raise
        except OSError as error:
            pause = next(pauses, None) if error.errno in TRANSIENT else None
            if pause is None:
                raise storage_error(error, last_good=last_good, needed=needed) from error
        wait(pause)


def is_about_files(error: OSError) -> bool:
    """Whether the system refused something with files; what libraries raise about the network are
    OSErrors too."""
    if isinstance(error, ConnectionError | TimeoutError):
        return False
    return error.errno in _PROBLEMS or (error.errno is not None and _has_path(error))


def too_little_space(path: Path, free: int, needed: int, what: str) -> StorageError:
    return StorageError(
        f"{what} needs {size(needed)}, and the disk of {path} has {size(free)} free",
        where=str(path),
        fixes=(f"free at least {size(needed - free)} there", KEEP_FEWER, _ELSEWHERE),
    )


def size(count: int) -> str:
    """Bytes for people, rounded up so that this much is enough."""
    if count >= 10**10:
        return f"{-(-count // 10**9)} GB"
    return f"{-(-count // 10**6)} MB"


def _has_path(error: OSError) -> bool:
    """Whether the error names a file, and not a descriptor's number."""
    return isinstance(error.filename, str | bytes)
