"""Which files of a folder are data to train on, and why the others are not."""

# Paths are text in here: of a million files, objects would take ten times as long.
# ruff: noqa: PTH116, PTH118, PTH122

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from create_llm_text.compression import COMPRESSIONS
from create_llm_text.parts import grouped

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
_COMPRESSED = {f".{name}": name for name in COMPRESSIONS}
# File systems tell the time in steps, of two seconds at the coarsest: what was changed just now
# may be changed once more and look the same.
_STEP_NS = 2_000_000_000

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
    """A file to read. There may be millions: what they have in common is held once.

    Attributes:
        base: what was asked for, a folder or the file itself.
        name: relative to that, with slashes; "." if that is the file itself.
        format: one of those in FORMATS.
        compression: "gz", "zst" or None.
        size: in bytes, on disk.
        stamp: differs when the file has changed; None while that could not be told.
    """

    base: str
    name: str
    format: str
    compression: str | None
    size: int
    stamp: int | None = None

    @property
    def path(self) -> Path:
        return Path(self.base, self.name)

    @property
    def is_text(self) -> bool:
        return self.format == "text"

    @property
    def text_size(self) -> int:
        """The size as it is when decompressed, about."""
        packed = self.compression is not None or self.format == "parquet"
        return self.size * (_EXPANDS if packed else 1)

    def is_unchanged(self) -> bool:
        """Whether the file is certainly the one that was found."""
        if self.stamp is None:
            return False
        try:
            status = os.stat(os.path.join(self.base, self.name))
        except OSError:
            return False
        return status.st_size == self.size and stamp_of(status) == self.stamp


@dataclass(frozen=True)
class Found:
    """The files, sorted by path, and one line about each entry that was passed over."""

    files: tuple[DataFile, ...]
    skipped: tuple[str, ...]

    @cached_property
    def groups(self) -> dict[str, tuple[DataFile, ...]]:
        """What is prepared by itself, by the name of its first file."""
        return {group[0].name: group for group in grouped(self.files)}

    @cached_property
    def plain_bytes(self) -> int:
        """The size of the plain text among the files."""
        return sum(file.text_size for file in self.files if file.is_text)

    @cached_property
    def sides(self) -> dict[Side, Found]:
        """The files of each side, where the names divide them into train and validation.

        Anything that is named neither train nor validation nor test is for training. Without
        such a pair, all are: then the names mean nothing.
        """
        own = [_side_of(file) for file in self.files]
        if not {"train", "validation"} <= set(own):
            nothing = Found((), ())
            return {"train": self, "validation": nothing, "test": nothing}
        sides = [side or "train" for side in own]
        return {side: self._side(side, sides) for side in ("train", "validation", "test")}

    def _side(self, wanted: Side, sides: list[Side]) -> Found:
        """What was passed over is told once, with the files to train on."""
        pairs = list(zip(self.files, sides, strict=True))
        kept = tuple(file for file, side in pairs if side == wanted)
        if wanted != "train":
            return Found(kept, ())
        others = [
            f"{file.name} (kept for {'validation' if side == 'validation' else 'tests'})"
            for file, side in pairs
            if side != wanted
        ]
        return Found(kept, tuple(sorted((*self.skipped, *others))))


def data_file(base: str, name: str, status: os.stat_result) -> DataFile:
    """A file, whose ending does not have to be known: then it is text."""
    kind, compression = _kind(base if name == "." else name)
    return DataFile(base, name, kind or "text", compression, status.st_size, stamp_of(status))


def is_data(name: str) -> bool:
    """Whether a file of this name is text or data."""
    kind, compression = _kind(name)
    # Parquet is compressed within; around it, it could not be read without being unpacked first.
    return kind is not None and not (kind == "parquet" and compression)


def stamp_of(status: os.stat_result) -> int | None:
    """A number that changes with a file or a folder; None where it changed too recently."""
    if status.st_mtime_ns > time.time_ns() - _STEP_NS:
        return None
    return hash((status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev))


def _kind(name: str) -> tuple[str | None, str | None]:
    """The format and the compression that a name tells, each None where it tells none."""
    stem, ending = os.path.splitext(name)
    compression = _COMPRESSED.get(ending.lower())
    if compression is not None:
        ending = os.path.splitext(stem)[1]
    return FORMATS.get(ending.lower()), compression


def _side_of(file: DataFile) -> Side | None:
    first = file.name.partition("/")[0]
    match = _SIDE.match(first.partition(".")[0])
    return _SIDES.get(match[1].lower()) if match else None
