"""Faults at the operations of a disk, in the process that this module is told to spoil.

An operation is known by its *site*, such as ``write checkpoints/RUN/step-00000002/config.json#1``:
what is done, to which path, and for the how-manieth time. A site is the same in every run, also
where a second thread saves and the order of operations is not.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from create_llm.storage.disk import Disk, DiskFile

ANY = "any"
"""A site that every operation matches; with `skip`, the n-th operation of the process."""

SPACE = frozenset({"create", "write", "sync", "make_folder", "link"})
CHANGES = SPACE | {"rename", "unlink", "remove_folder"}
OPENS = frozenset({"create", "sync_folder"})
ERRORS: dict[str, frozenset[str]] = {
    "ENOSPC": SPACE,
    "EDQUOT": SPACE,
    "EIO": CHANGES | {"sync_folder"},
    "EROFS": CHANGES,
    "EMFILE": OPENS,
}
"""Which operations can end with which error."""

_NUMBERS = (
    (re.compile(r"\d{8}-\d{6}(-\d+)?"), "RUN"),
    (re.compile(r"(\.(?:tmp|old)-[^/]*?)-\d{1,10}(?=/|$)"), r"\1-PID"),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens where.

    Attributes:
        site: of the operation, or `ANY`.
        skip: with `ANY`, how many operations go well before.
        what: "kill" before it, "tear" (kill with half of a write done), or an errno's name.
        lasting: an error also meets every later operation that it can meet.
    """

    site: str
    what: str
    skip: int = 0
    lasting: bool = False


class Seam:
    """Counts, logs and spoils the operations of this process.

    The log gets a line before each operation and one after it, straight to its descriptor: what
    SIGKILL interrupts has the first line and not the second.
    """

    def __init__(self, root: Path, log: int, faults: Sequence[Fault]) -> None:
        self._root, self._log, self._faults = str(root), log, faults
        self._seen: Counter[str] = Counter()
        self._total = 0
        self._broken: Fault | None = None
        self._lock = threading.Lock()

    @contextmanager
    def operation(
        self, what: str, path: Path, target: Path | None = None, half: Callable[[], object] = int
    ) -> Iterator[None]:
        with self._lock:
            site, number = self._site(what, target or path), self._total
            self._total += 1
            fault = self._due(site, what, number)
        line = f"{site}\t{self._named(path)}"
        os.write(self._log, f"try\t{line}\n".encode())
        if fault is not None:
            self._strike(fault, path, half)
        yield
        os.write(self._log, f"did\t{line}\n".encode())

    def _site(self, what: str, path: Path) -> str:
        name = self._named(path)
        for pattern, replacement in _NUMBERS:
            name = pattern.sub(replacement, name)
        site = f"{what} {name}"
        self._seen[site] += 1
        return f"{site}#{self._seen[site]}"

    def _named(self, path: Path) -> str:
        return str(path).removeprefix(self._root).lstrip("/")

    def _due(self, site: str, what: str, number: int) -> Fault | None:
        if self._broken is not None and what in ERRORS[self._broken.what]:
            return self._broken
        for fault in self._faults:
            here = number == fault.skip if fault.site == ANY else site == fault.site
            if here and what in ERRORS.get(fault.what, {what}):
                self._broken = fault if fault.lasting else None
                return fault
        return None

    def _strike(self, fault: Fault, path: Path, half: Callable[[], object]) -> None:
        if fault.what == "tear":
            half()
        if fault.what in ("kill", "tear"):
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, fault.what)
        raise OSError(number, os.strerror(number), str(path))


def install(seam: Seam) -> None:
    """Put the seam under every `Disk` of this process, for good."""
    for name in ("make_folder", "unlink", "remove_folder", "sync_folder"):
        setattr(Disk, name, _on_path(seam, name, getattr(Disk, name)))
    for name in ("link", "rename"):
        setattr(Disk, name, _on_two(seam, name, getattr(Disk, name)))
    _install_files(seam)


def _on_path(
    seam: Seam, name: str, plain: Callable[[Disk, Path], None]
) -> Callable[[Disk, Path], None]:
    def method(disk: Disk, path: Path) -> None:
        with seam.operation(name, path):
            plain(disk, path)

    return method


def _on_two(
    seam: Seam, name: str, plain: Callable[[Disk, Path, Path], None]
) -> Callable[[Disk, Path, Path], None]:
    def method(disk: Disk, source: Path, target: Path) -> None:
        with seam.operation(name, source, target):
            plain(disk, source, target)

    return method


def _install_files(seam: Seam) -> None:
    create, write, sync = Disk.create, DiskFile.write, DiskFile.sync

    def spoilt_create(disk: Disk, path: Path) -> DiskFile:
        with seam.operation("create", path):
            return create(disk, path)

    def spoilt_write(file: DiskFile, data: bytes | memoryview) -> None:
        content = memoryview(data).cast("B")
        half = content[: len(content) // 2]
        with seam.operation("write", file.path, half=lambda: write(file, half)):
            write(file, content)

    def spoilt_sync(file: DiskFile) -> None:
        with seam.operation("sync", file.path):
            sync(file)

    spoilt = (
        (Disk, "create", spoilt_create),
        (DiskFile, "write", spoilt_write),
        (DiskFile, "sync", spoilt_sync),
    )
    for owner, name, method in spoilt:
        setattr(owner, name, method)
