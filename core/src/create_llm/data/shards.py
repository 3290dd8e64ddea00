"""Token shards: the prepared form of one side of a corpus, in one folder or in several.

Each folder is a stream of its own that begins and ends with EOS (`shard_files`). Read together,
the EOS that begins a folder is the one that ends the folder before, so that the stream is the
same however a corpus is divided into folders.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from create_llm.data.preparation.shard_files import (
    DOCUMENT_DTYPE,
    DOCUMENTS,
    MANIFEST,
    PREPARE_FIXES,
    TOKEN_DTYPES,
    ShardManifest,
    damaged,
    expected_sizes,
    file_name,
)
from create_llm.errors import DataError
from create_llm.storage import manifest as manifests


class ShardFolder:
    """Reads one folder of shards.

    Each read opens its file: no open files to run out of for a corpus of thousands, nothing that
    breaks in a forked or spawned process, and, unlike with a memory map, a truncated file is an
    error that can be explained and not a signal that kills the process.
    """

    def __init__(self, path: Path, manifest: ShardManifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, path: Path) -> ShardFolder:
        """Open a folder, checking that each file is there and as long as it should be.

        Raises:
            DataError: names the file that is missing, damaged or of another format.
        """
        file = path / MANIFEST
        try:
            manifest = ShardManifest.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            reason = "is missing" if isinstance(error, FileNotFoundError) else "cannot be used"
            raise damaged(file, reason) from error
        for name, size in expected_sizes(manifest, file):
            file = path / name
            if not file.is_file():
                raise damaged(file, "is missing")
            if file.stat().st_size != size:
                raise damaged(file, f"holds {file.stat().st_size} bytes instead of {size}")
        return cls(path, manifest)

    def verify(self) -> None:
        """Hash every file and compare with the manifest.

        Raises:
            DataError: names the first file that is missing or differs.
        """
        try:
            manifests.verify(self.path)
        except DataError as error:
            raise DataError(error.what, where=error.where, fixes=PREPARE_FIXES) from error

    def tokens(self, start: int, stop: int) -> NDArray[np.generic]:
        """Tokens start … stop - 1 of this folder's stream."""
        return self._column("tokens", TOKEN_DTYPES[self.manifest.dtype], start, stop)

    def counted(self, start: int, stop: int) -> NDArray[np.generic]:
        """Whether each of these tokens counts: uint8."""
        if not self.manifest.counted:
            return np.ones(stop - start, np.uint8)
        return self._column("counted", np.dtype(np.uint8), start, stop)

    def document_starts(self, first: int, last: int) -> NDArray[np.int64]:
        """Where documents first … last - 1 start in this folder's stream."""
        path = self.path / DOCUMENTS
        return _read_file(path, DOCUMENT_DTYPE, first, last - first).astype(np.int64)

    def _column(
        self, stem: str, dtype: np.dtype[np.generic], start: int, stop: int
    ) -> NDArray[np.generic]:
        limit = self.manifest.file_tokens
        parts = []
        for number in range(start // limit, -(-stop // limit)):
            first = max(start - number * limit, 0)
            last = min(stop - number * limit, limit)
            path = self.path / file_name(stem, number)
            parts.append(_read_file(path, dtype, first, last - first))
        return np.concatenate(parts) if parts else np.empty(0, dtype)


class TokenShards:
    """Reads folders of shards as one stream. At least one folder.

    Attributes:
        tokens: length of the stream, control tokens included.
        documents: how many there are.
        bytes: UTF-8 bytes of the text that counts in the loss.
    """

    def __init__(self, folders: Sequence[ShardFolder]) -> None:
        self.folders = tuple(folders)
        self._bases: list[int] = []
        self._first_documents: list[int] = []
        self.tokens, self.documents, self.bytes = 1, 0, 0
        for folder in self.folders:
            # Its EOS at the beginning is the last token of what came before.
            self._bases.append(self.tokens - 1)
            self._first_documents.append(self.documents)
            self.tokens += folder.manifest.tokens - 1
            self.documents += folder.manifest.documents
            self.bytes += folder.manifest.bytes
        self._counted = any(folder.manifest.counted for folder in self.folders)

    @classmethod
    def open(cls, *folders: Path) -> TokenShards:
        """Open folders, checking that each file is there and as long as it should be.

        Raises:
            DataError: names the file that is missing, damaged or of another format.
        """
        return cls([ShardFolder.open(path) for path in folders])

    @property
    def disk_bytes(self) -> int:
        sizes = (folder.manifest.files.values() for folder in self.folders)
        return sum(entry.size for entries in sizes for entry in entries)

    def verify(self) -> None:
        """Hash every file and compare with the manifests.

        Raises:
            DataError: names the first file that is missing or differs.
        """
        for folder in self.folders:
            folder.verify()

    def read(self, start: int, stop: int) -> NDArray[np.int64]:
        """Tokens start … stop - 1 of the stream: int64 [stop - start]."""
        found = [folder.tokens(first, last) for folder, first, last in self._pieces(start, stop)]
        return _joined(found).astype(np.int64)

    def read_counted(self, start: int, stop: int) -> NDArray[np.bool_] | None:
        """Whether each of these tokens counts: bool [stop - start]; None when all tokens do."""
        if not self._counted:
            return None
        found = [folder.counted(first, last) for folder, first, last in self._pieces(start, stop)]
        return _joined(found).astype(np.bool_)

    def document_starts(self, first: int, last: int) -> NDArray[np.int64]:
        """Where documents first … last - 1 start in the stream: int64 [last - first]."""
        if not 0 <= first <= last <= self.documents:
            raise IndexError(f"documents {first}:{last} of {self.documents}")
        found = []
        number = max(bisect_right(self._first_documents, first) - 1, 0)
        while first < last:
            folder, before = self.folders[number], self._first_documents[number]
            end = min(last, before + folder.manifest.documents)
            if first < end:
                starts = folder.document_starts(first - before, end - before)
                found.append(starts + self._bases[number])
                first = end
            number += 1
        return _joined(found).astype(np.int64)

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[ShardFolder, int, int]]:
        """The folders that hold these tokens, each with the range in its own stream."""
        if not 0 <= start <= stop <= self.tokens:
            raise IndexError(f"tokens {start}:{stop} of {self.tokens}")
        number = max(bisect_right(self._bases, start - 1) - 1, 0)
        while start < stop:
            folder, base = self.folders[number], self._bases[number]
            end = min(stop, base + folder.manifest.tokens)
            if start < end:
                yield folder, start - base, end - base
                start = end
            number += 1


def _joined(pieces: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
    if len(pieces) == 1:  # nearly always: no copy
        return pieces[0]
    return np.concatenate(pieces) if pieces else np.empty(0, np.uint8)


def _read_file(
    path: Path, dtype: np.dtype[np.generic], first: int, count: int
) -> NDArray[np.generic]:
    try:
        values = np.fromfile(path, dtype, count, offset=first * dtype.itemsize)
    except FileNotFoundError as error:
        raise damaged(path, "is missing") from error
    if len(values) != count:
        raise damaged(path, "ends too early")
    return values
