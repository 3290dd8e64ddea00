"""Token shards: the prepared form of one side of a corpus.

    tokens-00000.bin …    ids, little-endian uint16 (vocabularies up to 65536) or uint32
    counted-00000.bin …   uint8 beside each, only if some text carries no loss
    documents.bin         uint64: where each document starts in the stream
    manifest.json         format, counts, and each file's size and SHA-256

The files follow each other as one stream: EOS, document 1, EOS, document 2, EOS … It begins with
EOS so that each token of a text is predicted once, the first one included. A document's EOS
counts in the loss when the document's last token does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from create_llm.errors import DataError
from create_llm.storage import manifest as manifests
from create_llm.storage.durable import Storage
from create_llm.storage.manifest import FileRecord
from create_llm.storage.writers import FileWriter

MANIFEST = manifests.MANIFEST
DOCUMENTS = "documents.bin"
FILE_TOKENS = 2**27
PREPARE_FIXES = ("write it again: llm data prepare",)

_DTYPES: dict[str, np.dtype[np.uint16] | np.dtype[np.uint32]] = {
    "uint16": np.dtype("<u2"),
    "uint32": np.dtype("<u4"),
}
_DOCUMENT_DTYPE: np.dtype[np.uint64] = np.dtype("<u8")
_BUFFER = 1 << 20


class FileEntry(BaseModel):
    """One file as the manifest records it."""

    size: int = Field(ge=0)
    sha256: str


class ShardManifest(BaseModel):
    """manifest.json of a folder of shards; `manifest.verify` reads its `format` and `files`.

    `bytes` are the UTF-8 bytes of the text that counts in the loss: what bits per byte divide by.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    dtype: Literal["uint16", "uint32"]
    tokens: int = Field(ge=0)
    documents: int = Field(ge=0)
    bytes: int = Field(ge=0)
    eos: int = Field(ge=0)
    file_tokens: int = Field(ge=1)
    counted: bool
    files: dict[str, FileEntry]


class _Column:
    """Equally long numbered files of one dtype; a new one is begun when the last is full."""

    def __init__(self, storage: Storage, folder: Path, stem: str, limit: int) -> None:
        self._storage, self._folder, self._stem, self._limit = storage, folder, stem, limit
        self._output: FileWriter | None = None
        self.length = 0
        self.files: dict[str, FileEntry] = {}

    def extend(self, values: NDArray[np.generic]) -> None:
        while len(values):
            if self._output is None:
                path = self._folder / file_name(self._stem, len(self.files))
                self._output = self._storage.create(path)
            room = self._limit - self.length % self._limit
            self._output.write(values[:room].tobytes())
            self.length += len(values[:room])
            values = values[room:]
            if self.length % self._limit == 0:
                self.close()

    def close(self) -> None:
        if self._output is not None:
            self.files[self._output.path.name] = _entry(self._output.commit())
            self._output = None

    def abandon(self) -> None:
        if self._output is not None:
            self._output.abandon()


class ShardWriter:
    """Writes documents as token shards into a new folder.

    Use it as a context manager, so that its files are gone again when something fails; the folder
    is usable once `close` has returned.
    """

    def __init__(
        self, folder: Path, vocab_size: int, eos: int, *, file_tokens: int = FILE_TOKENS
    ) -> None:
        self._storage = Storage()
        self._storage.make_folder(folder)
        self._folder, self._eos, self._file_tokens = folder, eos, file_tokens
        self._dtype: Literal["uint16", "uint32"] = "uint16" if vocab_size <= 1 << 16 else "uint32"
        self._tokens = _Column(self._storage, folder, "tokens", file_tokens)
        self._counted: _Column | None = None
        self._starts = self._storage.create(folder / DOCUMENTS)
        self._documents = self._bytes = 0
        self._append(np.array([eos], _DTYPES[self._dtype]), None)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            for output in (self._tokens, self._starts, self._counted):
                if output is not None:
                    output.abandon()

    def add(self, ids: Sequence[int], counted: Sequence[bool] | None, n_bytes: int) -> None:
        """Append one document.

        Args:
            ids: its tokens, without control tokens.
            counted: for each token whether it carries loss; None when all do.
            n_bytes: UTF-8 bytes of its text that carries loss.
        """
        self._starts.write(np.array([self._tokens.length], _DOCUMENT_DTYPE).tobytes())
        flags = None
        if counted is not None and not all(counted):
            flags = np.array([*counted, counted[-1]], np.uint8)
        self._append(np.array([*ids, self._eos], _DTYPES[self._dtype]), flags)
        self._documents += 1
        self._bytes += n_bytes

    def close(self) -> ShardManifest:
        """Synchronise everything and write the manifest."""
        self._tokens.close()
        files = {DOCUMENTS: _entry(self._starts.commit()), **self._tokens.files}
        if self._counted is not None:
            self._counted.close()
            files.update(self._counted.files)
        manifest = ShardManifest(
            dtype=self._dtype,
            tokens=self._tokens.length,
            documents=self._documents,
            bytes=self._bytes,
            eos=self._eos,
            file_tokens=self._file_tokens,
            counted=self._counted is not None,
            files=dict(sorted(files.items())),
        )
        text = manifest.model_dump_json(indent=2)
        self._storage.replace_file(self._folder / MANIFEST, text.encode())
        return manifest

    def _append(self, ids: NDArray[np.generic], flags: NDArray[np.uint8] | None) -> None:
        if flags is not None and self._counted is None:
            self._counted = _Column(self._storage, self._folder, "counted", self._file_tokens)
            self._count_all(self._tokens.length)
        self._tokens.extend(ids)
        if self._counted is not None:
            self._counted.extend(np.ones(len(ids), np.uint8) if flags is None else flags)

    def _count_all(self, length: int) -> None:
        """Flags for what came before the first text without loss."""
        assert self._counted is not None
        for start in range(0, length, _BUFFER):
            self._counted.extend(np.ones(min(_BUFFER, length - start), np.uint8))


class TokenShards:
    """Reads a folder of shards.

    Each read opens its file: no open files to run out of for a corpus of thousands, nothing that
    breaks in a forked or spawned process, and, unlike with a memory map, a truncated file is an
    error that can be explained and not a signal that kills the process.
    """

    def __init__(self, folder: Path, manifest: ShardManifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: Path) -> TokenShards:
        """Open a folder, checking that each file is there and as long as it should be.

        Raises:
            DataError: names the file that is missing, damaged or of another format.
        """
        path = folder / MANIFEST
        try:
            manifest = ShardManifest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            reason = "is missing" if isinstance(error, FileNotFoundError) else "cannot be used"
            raise _damaged(path, reason) from error
        for name, size in _expected_sizes(manifest, path):
            file = folder / name
            if not file.is_file():
                raise _damaged(file, "is missing")
            if file.stat().st_size != size:
                raise _damaged(file, f"holds {file.stat().st_size} bytes instead of {size}")
        return cls(folder, manifest)

    @property
    def tokens(self) -> int:
        """Length of the stream, control tokens included."""
        return self.manifest.tokens

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of the text that counts in the loss."""
        return self.manifest.bytes

    @property
    def documents(self) -> int:
        return self.manifest.documents

    @property
    def disk_bytes(self) -> int:
        return sum(entry.size for entry in self.manifest.files.values())

    def verify(self) -> None:
        """Hash every file and compare with the manifest.

        Raises:
            DataError: names the first file that is missing or differs.
        """
        try:
            manifests.verify(self.folder)
        except DataError as error:
            raise DataError(error.what, where=error.where, fixes=PREPARE_FIXES) from error

    def read(self, start: int, stop: int) -> NDArray[np.int64]:
        """Tokens start … stop - 1 of the stream: int64 [stop - start]."""
        return self._read("tokens", _DTYPES[self.manifest.dtype], start, stop).astype(np.int64)

    def read_counted(self, start: int, stop: int) -> NDArray[np.bool_] | None:
        """Whether each of these tokens counts: bool [stop - start]; None when all tokens do."""
        if not self.manifest.counted:
            return None
        return self._read("counted", np.dtype(np.uint8), start, stop).astype(np.bool_)

    def document_starts(self, first: int, last: int) -> NDArray[np.int64]:
        """Where documents first … last - 1 start in the stream: int64 [last - first]."""
        if not 0 <= first <= last <= self.documents:
            raise IndexError(f"documents {first}:{last} of {self.documents}")
        path = self.folder / DOCUMENTS
        return _read_file(path, _DOCUMENT_DTYPE, first, last - first).astype(np.int64)

    def _read(
        self, stem: str, dtype: np.dtype[np.generic], start: int, stop: int
    ) -> NDArray[np.generic]:
        if not 0 <= start <= stop <= self.tokens:
            raise IndexError(f"tokens {start}:{stop} of {self.tokens}")
        limit = self.manifest.file_tokens
        parts = []
        for number in range(start // limit, -(-stop // limit)):
            first = max(start - number * limit, 0)
            last = min(stop - number * limit, limit)
            path = self.folder / file_name(stem, number)
            parts.append(_read_file(path, dtype, first, last - first))
        return np.concatenate(parts) if parts else np.empty(0, dtype)


def _entry(record: FileRecord) -> FileEntry:
    return FileEntry(size=record.size, sha256=record.sha256)


def file_name(stem: str, number: int) -> str:
    return f"{stem}-{number:05d}.bin"


def _expected_sizes(manifest: ShardManifest, path: Path) -> Iterator[tuple[str, int]]:
    """Every file the counts imply, with its size in bytes; the records must say the same."""
    sizes = {DOCUMENTS: manifest.documents * _DOCUMENT_DTYPE.itemsize}
    columns = {"tokens": _DTYPES[manifest.dtype].itemsize}
    if manifest.counted:
        columns["counted"] = 1
    for stem, width in columns.items():
        for number, start in enumerate(range(0, manifest.tokens, manifest.file_tokens)):
            length = min(manifest.file_tokens, manifest.tokens - start)
            sizes[file_name(stem, number)] = length * width
    if sizes != {name: entry.size for name, entry in manifest.files.items()}:
        raise _damaged(path, "contradicts itself")
    yield from sizes.items()


def _read_file(
    path: Path, dtype: np.dtype[np.generic], first: int, count: int
) -> NDArray[np.generic]:
    try:
        values = np.fromfile(path, dtype, count, offset=first * dtype.itemsize)
    except FileNotFoundError as error:
        raise _damaged(path, "is missing") from error
    if len(values) != count:
        raise _damaged(path, "ends too early")
    return values


def _damaged(path: Path, how: str) -> DataError:
    return DataError(
        f"the prepared data is damaged: {path.name} {how}", where=str(path), fixes=PREPARE_FIXES
    )
