"""A file that is not complete yet, and what is known of it.

<key>.part        what has come so far
<key>.part.json   which version of the text that is, and how much of it is safely on the disk
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.storage.durable import Storage
from create_llm.storage.writers import about

HEAD = 1024
"""Bytes from the beginning of a file that tell what it is."""

# How much is fetched again, at most, after the machine lost power; each time costs an fsync.
_SYNC = 32 << 20


class PartState(BaseModel):
    """What can be continued.

    Attributes:
        validator: ETag or date of the version; None: it cannot be continued.
        total: bytes of the whole, if the server says so.
        synced: bytes that are on the medium; what is behind them is not trusted.
    """

    model_config = ConfigDict(frozen=True)

    validator: str | None = None
    total: int | None = None
    synced: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """The two files."""

    path: Path
    storage: Storage

    def state(self) -> PartState:
        """What the file can be continued from; nothing where that is in doubt."""
        try:
            state = PartState.model_validate_json(self._state_file.read_bytes())
            held = self.path.stat().st_size
        except (FileNotFoundError, ValidationError):
            return PartState()
        if state.validator is None or held < state.synced:
            return PartState()
        # One byte at least is asked for again: the answer tells whether the version is the same.
        last = state.synced if state.total is None else max(state.total - 1, 0)
        return state.model_copy(update={"synced": min(state.synced, last)})

    @contextlib.contextmanager
    def continued(self, state: PartState) -> Iterator[PartWriter]:
        """Append behind what `state` says is there; what came stays when an error ends it."""
        if not state.synced:
            self._state_file.unlink(missing_ok=True)  # it speaks of what is overwritten now
        with about(self.path), self.path.open("r+b" if state.synced else "wb") as file:
            file.truncate(state.synced)
            file.seek(state.synced)
            writer = PartWriter(file, state, self)
            try:
                yield writer
            finally:
                writer.sync()

    def head(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(HEAD)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._state_file.unlink(missing_ok=True)

    def save(self, state: PartState) -> None:
        self.storage.replace_file(self._state_file, state.model_dump_json().encode())

    @property
    def _state_file(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")


class PartWriter:
    """Appends to the file.

    Attributes:
        size: bytes in it.
    """

    def __init__(self, file: BinaryIO, state: PartState, part: Part) -> None:
        self._file, self._state, self._part = file, state, part
        self._synced = self.size = state.synced

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)
        if self.size - self._synced >= _SYNC:
            self.sync()

    def head(self) -> bytes:
        self._file.flush()
        return self._part.head()

    def sync(self) -> None:
        """Bring it to the medium, and note how much that is."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._synced = self.size
        self._part.save(self._state.model_copy(update={"synced": self.size}))
