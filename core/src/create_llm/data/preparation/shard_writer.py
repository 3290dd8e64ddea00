"""Writes documents as token shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from create_llm.data.preparation.shard_files import (
    DOCUMENT_DTYPE,
    DOCUMENTS,
    FILE_TOKENS,
    MANIFEST,
    TOKEN_DTYPES,
    FileEntry,
    ShardManifest,
    file_name,
)
from create_llm.storage.durable import Storage
from create_llm.storage.manifest import FileRecord
from create_llm.storage.writers import FileWriter

_BUFFER = 1 << 20
# Documents are gathered up to this many tokens: an array for each would cost more than its ids.
_GATHERED = 1 << 16


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
        self._ids: list[int] = [eos]
        self._flags = bytearray(b"\1")
        self._new_starts: list[int] = []

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
        self._new_starts.append(self._tokens.length + len(self._ids))
        self._ids.extend(ids)
        self._ids.append(self._eos)
        if counted is None or all(counted):
            self._flags += b"\1" * (len(ids) + 1)
        else:
            self._flags += bytes(counted)
            self._flags.append(counted[-1])
        self._documents += 1
        self._bytes += n_bytes
        if len(self._ids) >= _GATHERED:
            self._flush()

    def close(self) -> ShardManifest:
        """Synchronise everything and write the manifest."""
        self._flush()
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

    def _flush(self) -> None:
        """Put what was gathered into the files."""
        self._starts.write(np.array(self._new_starts, DOCUMENT_DTYPE).tobytes())
        if self._counted is None and 0 in self._flags:
            self._counted = _Column(self._storage, self._folder, "counted", self._file_tokens)
            self._count_all(self._tokens.length)
        self._tokens.extend(np.array(self._ids, TOKEN_DTYPES[self._dtype]))
        if self._counted is not None:
            self._counted.extend(np.frombuffer(bytes(self._flags), np.uint8))
        self._ids, self._flags, self._new_starts = [], bytearray(), []

    def _count_all(self, length: int) -> None:
        """Flags for what came before the first text without loss."""
        assert self._counted is not None
        for start in range(0, length, _BUFFER):
            self._counted.extend(np.ones(min(_BUFFER, length - start), np.uint8))


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


def _entry(record: FileRecord) -> FileEntry:
    return FileEntry(size=record.size, sha256=record.sha256)
