"""Checkpoints written beside the training: a step waits for a copy in memory, not for the disk."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import psutil

from create_llm.errors import DivergedError
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.problems import with_retries
from create_llm.storage.tensors import NotFiniteError
from create_llm.training.beside import thread_beside
from create_llm.training.checkpointing import Snapshot

ROOM = 1.5
"""A copy is only made where this many times its size is free."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that is durable.

    Attributes:
        seconds: from the request until it was.
        stall_seconds: how long the training stood still for it.
    """

    step: int
    path: Path
    reason: str
    seconds: float
    stall_seconds: float


class Saver:
    """Writes the checkpoints of a run, one at a time.

    `begin` returns once the state is copied. `finished` and `wait` say what has become durable
    since; nothing is ever said to be saved before.
    """

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._writer = thread_beside("checkpoint")
        self._pending: Future[Saved] | None = None
        self._done: list[Saved] = []

    def begin(self, snapshot: Snapshot, reason: str) -> None:
        """Write a checkpoint; waits for the one before.

        Raises:
            StorageError: the one before could not be written.
            DivergedError: it held a number that is not finite.
        """
        started = time.perf_counter()
        self._collect()
        enough = psutil.virtual_memory().available > ROOM * snapshot.bytes
        staged = snapshot.staged() if enough else snapshot
        stalled = time.perf_counter() - started
        self._pending = self._writer.submit(self._write, staged, reason, started, stalled)
        if not enough:  # the next step would change what is being written
            self._collect()

    def finished(self) -> list[Saved]:
        """What has become durable since the last time this was asked; waits for nothing.

        Raises:
            StorageError: a checkpoint could not be written.
        """
        if self._pending is not None and self._pending.done():
            self._collect()
        done, self._done = self._done, []
        return done

    def wait(self) -> list[Saved]:
        """The same, once nothing is being written any more."""
        self._collect()
        return self.finished()

    def mark(self, name: str, step: int, why: Mapping[str, object]) -> None:
        """Keep the durable checkpoint of a step under a name.

        Raises:
            StorageError: that could not be written.
        """
        store = self._store
        with_retries(lambda: store.mark(name, step, why), last_good=store.path(step))

    def close(self) -> None:
        """Let what is being written come to its end."""
        self._writer.shutdown()

    def _collect(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            self._done.append(pending.result())

    def _write(self, snapshot: Snapshot, reason: str, started: float, stalled: float) -> Saved:
        step, store = snapshot.state.step, self._store
        steps = store.steps()
        last_good = store.path(steps[-1]) if steps else None
        try:
            with_retries(lambda: self._commit(snapshot), last_good=last_good, needed=snapshot.bytes)
        except NotFiniteError as error:
            raise _diverged(step, error, last_good) from error
        with_retries(store.rotate, last_good=store.path(step))
        seconds = time.perf_counter() - started
        return Saved(step, store.path(step), reason, seconds, stalled)

    def _commit(self, snapshot: Snapshot) -> None:
        with self._store.commit(snapshot.state.step) as writer:
            snapshot.write(writer)


def _diverged(step: int, error: NotFiniteError, last_good: Path | None) -> DivergedError:
    return DivergedError(
        f"after step {step} {error}; that checkpoint was not written",
        where=f"last good checkpoint: {last_good}" if last_good else None,
        fixes=(
            "learn more slowly: llm train --resume never --learning-rate …",
            "see which step it was: --set logging.log_interval=1",
        ),
    )
