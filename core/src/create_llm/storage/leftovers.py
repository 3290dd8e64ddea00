"""What a writer leaves beside its target when it is killed, and whose it is.

.tmp-<name>-<pid>   not finished, or about to be removed: worth nothing once its writer is dead
.old-<name>-<pid>   whole: it was <name> until its successor took that place
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

import psutil

_NAME = re.compile(r"\.(tmp|old)-(.+?)(?:\+\d+)?-(\d{1,10})")
_CLOCK_SLACK = 60.0
"""Seconds that the clock may have been set between two readings of it."""

_in_use: set[Path] = set()


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something with a temporary name that no living writer works on."""

    path: Path
    kind: str
    target: Path


@contextlib.contextmanager
def temporary_name(target: Path, kind: Literal["tmp", "old"]) -> Iterator[Path]:
    """A free temporary name beside `target`, which is ours inside the `with`."""
    path = _free(target, kind)
    _in_use.add(_key(path))
    try:
        yield path
    finally:
        _in_use.discard(_key(path))


def plain_path(path: Path) -> Path:
    """A path as people know it: with the target's name where a temporary one stands."""
    names = ((_NAME.fullmatch(part), part) for part in path.parts)
    return Path(*(match[2] if match else part for match, part in names))


def _free(target: Path, kind: str) -> Path:
    # A number follows only where something could not be removed: names that are the same in each
    # run make faults reproducible.
    for number in count():
        extra = f"+{number}" if number else ""
        path = target.with_name(f".{kind}-{target.name}{extra}-{os.getpid()}")
        if not os.path.lexists(path):
            return path
    raise AssertionError("unreachable")


def leftovers(folder: Path, name: str | None = None) -> list[Leftover]:
    """What dead writers left in a folder, of the target `name` or of all; sorted."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match and name in (None, match[2]) and _is_abandoned(path, int(match[3])):
            found.append(Leftover(path, match[1], path.with_name(match[2])))
    return found


def _key(path: Path) -> Path:
    return path.parent.resolve() / path.name


def _is_abandoned(path: Path, pid: int) -> bool:
    if pid == os.getpid():  # ours, or a dead namesake's: in a container each run may be process 1
        return _key(path) not in _in_use
    # Not os.kill(pid, 0), which ends the process on Windows.
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        # Numbers are given again: who began after the folder was last changed did not make it.
        return process.create_time() > path.lstat().st_mtime + _CLOCK_SLACK
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, FileNotFoundError):  # it lives; or its folder was just removed
        return False
