"""Walking a folder, once in a process for as long as nothing in it changes."""

# Paths are text in here: of a million files, objects would take ten times as long.
# ruff: noqa: PTH116, PTH118

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from create_llm.errors import DataError
from create_llm_text.files import FIXES, DataFile, Found, data_file, is_data, stamp_of

_REMEMBERED = 16  # folders: of each source of a mixture what it trains and is validated on


@dataclass(frozen=True, slots=True)
class _Walked:
    """What a folder held, and the stamps of it and its subfolders, by path."""

    found: Found
    folders: dict[str, int | None]

    def is_current(self) -> bool:
        return all(map(_is_unchanged, self.folders.items())) and all(
            file.is_unchanged() for file in self.found.files
        )


_walked: dict[tuple[str, str | None], _Walked] = {}


def find_files(base: Path, shown: str, *, apart: Path | None = None) -> Found:
    """The data files at `base`: itself, if it is a file, or those in it and its subfolders.

    Passed over are hidden entries, a README.md at the top (it describes the folder), other
    extensions, links that lead out of the folder or to another folder, and what is no regular
    file: reading a pipe or a device may never end.

    A folder is walked again only when something in it has changed since, which takes a tenth of
    the time to find out.

    Args:
        shown: the path as the configuration writes it, for messages.
        apart: a file or folder to leave out, because it is read for another purpose.

    Raises:
        DataError: nothing is there, or no data file is among it.
    """
    try:
        status = base.stat()
    except (OSError, RuntimeError) as error:
        raise DataError(f"{shown} does not exist", where=str(base), fixes=FIXES) from error
    if not stat.S_ISDIR(status.st_mode):
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{shown} is not a regular file", where=str(base), fixes=FIXES)
        return Found((data_file(str(base), ".", status),), ())
    walked = _walked.get(_key(base, apart))
    if walked is None or not walked.is_current():
        walked = _remembered(base, apart)
    found = walked.found
    if not found.files:
        seen = f"; passed over: {', '.join(found.skipped[:5])}" if found.skipped else ""
        raise DataError(f"there are no text files in {shown}{seen}", where=str(base), fixes=FIXES)
    return found


def files_before(base: Path, *, apart: Path | None = None) -> Found | None:
    """What `find_files` found there last, whether or not it is still so."""
    walked = _walked.get(_key(base, apart))
    return walked.found if walked else None


def _key(base: Path, apart: Path | None) -> tuple[str, str | None]:
    return str(base.absolute()), None if apart is None else str(apart.absolute())


def _remembered(base: Path, apart: Path | None) -> _Walked:
    key = _key(base, apart)
    _walked.pop(key, None)
    while len(_walked) >= _REMEMBERED:
        del _walked[next(iter(_walked))]
    _walked[key] = walked = _Walk(base, apart).walk()
    return walked


def _is_unchanged(folder: tuple[str, int | None]) -> bool:
    path, stamp = folder
    try:
        return stamp is not None and stamp_of(os.stat(path)) == stamp
    except OSError:
        return False


class _Walk:
    """Collects the entries of a folder and its subfolders."""

    def __init__(self, base: Path, apart: Path | None) -> None:
        self._base = str(base)
        self._inside = base.resolve()
        self._apart = apart.resolve() if apart else None
        self._files: list[DataFile] = []
        self._skipped: list[str] = []
        self._folders: dict[str, int | None] = {}

    def walk(self) -> _Walked:
        open_folders = [self._entries(self._base)]
        while open_folders:
            entry = next(open_folders[-1], None)
            if entry is None:
                open_folders.pop()
            elif not entry.name.startswith(".") and self._is_folder(entry):
                open_folders.append(self._entries(entry.path))
        return _Walked(Found(tuple(self._files), tuple(sorted(self._skipped))), self._folders)

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        """Whether the entry is a folder to go into; notes down what else it is."""
        name = self._name(entry.path)
        reason = self._reason_to_skip(entry, name)
        if reason is not None:
            self._skipped.append(f"{name} ({reason})")
        elif entry.is_dir():
            return True
        else:
            self._files.append(data_file(self._base, name, entry.stat()))
        return False

    def _name(self, path: str) -> str:
        return path[len(os.path.join(self._base, "")) :].replace(os.sep, "/")

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        # Before it is read: what is added meanwhile makes it another one.
        self._folders[folder] = stamp_of(os.stat(folder))
        try:
            with os.scandir(folder) as entries:
                return iter(sorted(entries, key=lambda entry: entry.name))
        except PermissionError as error:
            why = (error.strerror or "closed").lower()
            self._skipped.append(f"{self._name(folder) or '.'} ({why})")
            return iter(())

    def _reason_to_skip(self, entry: os.DirEntry[str], name: str) -> str | None:
        if entry.is_symlink():
            reason = self._reason_to_skip_link(entry.path)
            if reason is not None:
                return reason
        if self._apart is not None and _is_same(entry, self._apart):
            return "kept for validation"
        if entry.is_dir():
            return None
        if not entry.is_file():
            return "not a regular file"
        if name.lower() == "readme.md":
            return "describes the folder"
        return None if is_data(name) else "not text or data"

    def _reason_to_skip_link(self, path: str) -> str | None:
        try:
            target = Path(path).resolve(strict=True)
        except (OSError, RuntimeError):
            return "a link that leads nowhere"
        if not target.is_relative_to(self._inside):
            return "a link that leaves the folder"
        return "a link to a folder" if target.is_dir() else None


def _is_same(entry: os.DirEntry[str], path: Path) -> bool:
    if entry.name != path.name and not entry.is_symlink():
        return False
    try:
        return path.samefile(entry.path)
    except OSError:
        return False
