"""Which files of a folder are data to train on, and why the others are not."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from create_llm.errors import DataError
from create_llm_text.compression import COMPRESSIONS

FORMATS = {
    ".txt": "text",
    ".md": "text",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
FIXES = (
    "put .txt, .csv, .json, .jsonl or .parquet files into data/raw, or name a file or folder: "
    "data.train_path",
    "try the built-in corpus first: llm quickstart",
)

_EXPANDS = 4  # what compression of text saves, about

Side = Literal["train", "validation", "test"]
_SIDES: dict[str, Side] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
# As data sets are published: train.jsonl, train-00000-of-00002.parquet, a folder train/.
_SIDE = re.compile(r"([a-z]+)([-_.]?\d+([-_]of[-_]\d+)?)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file to read.

    Attributes:
        name: relative to what was asked for, with slashes; "." if that is the file itself.
        format: one of those in FORMATS.
        compression: "gz", "zst" or None.
        size: in bytes, on disk.
    """

    path: Path
    name: str
    format: str
    compression: str | None
    size: int

    @property
    def is_text(self) -> bool:
        return self.format == "text"

    @property
    def text_size(self) -> int:
        """The size as it is when decompressed, about."""
        packed = self.compression is not None or self.format == "parquet"
        return self.size * (_EXPANDS if packed else 1)


@dataclass(frozen=True, slots=True)
class Found:
    """The files, sorted by path, and one line about each entry that was passed over."""

    files: tuple[DataFile, ...]
    skipped: tuple[str, ...]

    def side(self, side: Side) -> Found:
        """The files of one side, where the names divide them into train and validation.

        Anything that is named neither train nor validation nor test is for training. Without
        such a pair, all are: then the names mean nothing.
        """
        sides = [_side_of(file) for file in self.files]
        if not {"train", "validation"} <= set(sides):
            return self if side == "train" else Found((), ())
        pairs = [(file, own or "train") for file, own in zip(self.files, sides, strict=True)]
        others = [
            f"{file.name} (kept for {'validation' if own == 'validation' else 'tests'})"
            for file, own in pairs
            if own != side
        ]
        kept = tuple(file for file, own in pairs if own == side)
        return Found(kept, tuple(sorted((*self.skipped, *others))))


def find_files(base: Path, shown: str, *, apart: Path | None = None) -> Found:
    """The data files at `base`: itself, if it is a file, or those in it and its subfolders.

    Passed over are hidden entries, a README.md at the top (it describes the folder), other
    extensions, links that lead out of the folder or to another folder, and what is no regular
    file: reading a pipe or a device may never end.

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
        return Found((_data_file(base, ".", status.st_size),), ())
    walk = _Walk(base, apart)
    walk.enter(base)
    if not walk.files:
        seen = f"; passed over: {', '.join(walk.skipped[:5])}" if walk.skipped else ""
        raise DataError(f"there are no text files in {shown}{seen}", where=str(base), fixes=FIXES)
    files = sorted(walk.files, key=lambda file: file.path)
    return Found(tuple(files), tuple(sorted(walk.skipped)))


def _data_file(path: Path, name: str, size: int) -> DataFile:
    extensions = [extension.lower() for extension in path.suffixes[-2:]]
    compression = extensions.pop()[1:] if extensions and is_compressed(path) else None
    kind = FORMATS.get(extensions[-1] if extensions else "", "text")
    return DataFile(path, name, kind, compression, size)


def is_compressed(path: Path) -> bool:
    return path.suffix.lower()[1:] in COMPRESSIONS


def _is_data(path: Path) -> bool:
    inner = Path(path.stem) if is_compressed(path) else path
    kind = FORMATS.get(inner.suffix.lower())
    # Parquet is compressed within; around it, it could not be read without being unpacked first.
    return kind is not None and not (kind == "parquet" and inner is not path)


def _side_of(file: DataFile) -> Side | None:
    first = file.name.partition("/")[0]
    match = _SIDE.match(first.partition(".")[0])
    return _SIDES.get(match[1].lower()) if match else None


class _Walk:
    """Collects the entries of a folder and its subfolders."""

    def __init__(self, base: Path, apart: Path | None) -> None:
        self._base = base
        self._inside = base.resolve()
        self._apart = apart.resolve() if apart else None
        self.files: list[DataFile] = []
        self.skipped: list[str] = []

    def enter(self, folder: Path) -> None:
        for entry in self._entries(folder):
            path = Path(entry.path)
            if entry.name.startswith("."):
                continue
            name = path.relative_to(self._base).as_posix()
            reason = self._reason_to_skip(entry, path)
            if reason is not None:
                self.skipped.append(f"{name} ({reason})")
            elif entry.is_dir():
                self.enter(path)
            else:
                self.files.append(_data_file(path, name, entry.stat().st_size))

    def _entries(self, folder: Path) -> Iterable[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except PermissionError as error:
            name = folder.relative_to(self._base).as_posix()
            self.skipped.append(f"{name} ({(error.strerror or 'closed').lower()})")
            return ()

    def _reason_to_skip(self, entry: os.DirEntry[str], path: Path) -> str | None:
        if entry.is_symlink():
            reason = self._reason_to_skip_link(path)
            if reason is not None:
                return reason
        if self._apart is not None and path.resolve() == self._apart:
            return "kept for validation"
        if entry.is_dir():
            return None
        if not entry.is_file():
            return "not a regular file"
        if path.parent == self._base and path.name.lower() == "readme.md":
            return "describes the folder"
        return None if _is_data(path) else "not text or data"

    def _reason_to_skip_link(self, path: Path) -> str | None:
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return "a link that leads nowhere"
        if not target.is_relative_to(self._inside):
            return "a link that leaves the folder"
        return "a link to a folder" if target.is_dir() else None
