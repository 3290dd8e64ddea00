"""Which files of a folder are text to train on, and why the others are not."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from create_llm.errors import DataError

EXTENSIONS = (".txt", ".md")
FIXES = (
    "put .txt files into data/raw, or name a file or folder: data.train_path",
    "try the built-in corpus first: llm quickstart",
)


@dataclass(frozen=True, slots=True)
class Found:
    """The text files, sorted by path, and one line about each entry that was passed over."""

    files: tuple[Path, ...]
    skipped: tuple[str, ...]


def find_files(base: Path, shown: str, *, apart: Path | None = None) -> Found:
    """The text files at `base`: itself, if it is a file, or those in it and its subfolders.

    Passed over are hidden entries, a README.md at the top (it describes the folder), other
    extensions, links that lead out of the folder or to another folder, and what is no regular
    file: reading a pipe or a device may never end.

    Args:
        shown: the path as the configuration writes it, for messages.
        apart: a file or folder to leave out, because it is read for another purpose.

    Raises:
        DataError: nothing is there, or no text file is among it.
    """
    if not base.exists():
        raise DataError(f"{shown} does not exist", where=str(base), fixes=FIXES)
    if not base.is_dir():
        if not stat.S_ISREG(base.stat().st_mode):
            raise DataError(f"{shown} is not a regular file", where=str(base), fixes=FIXES)
        return Found((base,), ())
    walk = _Walk(base, apart)
    walk.enter(base)
    if not walk.files:
        seen = f"; passed over: {', '.join(walk.skipped[:5])}" if walk.skipped else ""
        raise DataError(f"there are no text files in {shown}{seen}", where=str(base), fixes=FIXES)
    return Found(tuple(sorted(walk.files)), tuple(sorted(walk.skipped)))


class _Walk:
    """Collects the entries of a folder and its subfolders."""

    def __init__(self, base: Path, apart: Path | None) -> None:
        self._base = base
        self._inside = base.resolve()
        self._apart = apart.resolve() if apart else None
        self.files: list[Path] = []
        self.skipped: list[str] = []

    def enter(self, folder: Path) -> None:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = Path(entry.path)
                if entry.name.startswith("."):
                    continue
                reason = self._reason_to_skip(entry, path)
                if reason is not None:
                    self.skipped.append(f"{path.relative_to(self._base).as_posix()} ({reason})")
                elif entry.is_dir():
                    self.enter(path)
                else:
                    self.files.append(path)

    def _reason_to_skip(self, entry: os.DirEntry[str], path: Path) -> str | None:
        if entry.is_symlink():
            reason = self._reason_to_skip_link(path)
            if reason is not None:
                return reason
        if path.resolve() == self._apart:
            return "kept for validation"
        if entry.is_dir():
            return None
        if not entry.is_file():
            return "not a regular file"
        if path.parent == self._base and path.name.lower() == "readme.md":
            return "describes the folder"
        return None if path.suffix.lower() in EXTENSIONS else f"not {' or '.join(EXTENSIONS)}"

    def _reason_to_skip_link(self, path: Path) -> str | None:
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return "a link that leads nowhere"
        if not target.is_relative_to(self._inside):
            return "a link that leaves the folder"
        return "a link to a folder" if target.is_dir() else None
