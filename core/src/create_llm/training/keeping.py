"""The checkpoints of a run as its loop sees them: begun, told of, marked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Protocol

from create_llm.errors import StorageError
from create_llm.runs.events import CheckpointSaved, Event
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.training.checkpointing import Trained, TrainState, snapshot
from create_llm.training.loss_scale import LossScale
from create_llm.training.saving import Saver
from create_llm.world import World


class Kept(Trained, Protocol):
    """What is kept, and where."""

    @property
    def store(self) -> CheckpointStore: ...
    @property
    def world(self) -> World: ...


class Keeper:
    """Rank 0 writes; the other ranks know which step has its checkpoint.

    Attributes:
        saved_step: the last step that a checkpoint was begun of.
    """

    def __init__(self, parts: Kept, emit: Callable[[Event], None]) -> None:
        self.saved_step: int | None = None
        self._parts, self._emit = parts, emit
        self._saver = Saver(parts.store)

    def save(self, state: TrainState, scale: LossScale | None, reason: str) -> None:
        """Begin to write a checkpoint; returns once all of it is copied."""
        self._parts.world.barrier()
        if self._parts.world.rank == 0:
            self._saver.begin(snapshot(self._parts, scale, state), reason)
        self.saved_step = state.step

    def tell(self, *, wait: bool = False) -> None:
        """Tell of checkpoints that have become durable.

        Raises:
            StorageError: one could not be written.
        """
        for saved in self._saver.wait() if wait else self._saver.finished():
            self._emit(
                CheckpointSaved(
                    step=saved.step,
                    path=str(saved.path),
                    reason=saved.reason,
                    seconds=saved.seconds,
                    stall_seconds=saved.stall_seconds,
                )
            )

    def mark(self, name: str, step: int, why: Mapping[str, object]) -> None:
        """Keep the durable checkpoint of a step under a name."""
        if self._parts.world.rank == 0:
            self._saver.mark(name, step, why)

    def last_good(self) -> str | None:
        """Where an error finds it, once nothing is being written any more."""
        with contextlib.suppress(StorageError):
            self.tell(wait=True)
        steps = self._parts.store.steps()
        return f"last good checkpoint: {self._parts.store.path(steps[-1])}" if steps else None

    def close(self) -> None:
        """What is being written comes to its end first."""
        self._saver.close()
