"""From the position in a run to the micro-batch that stands there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from threading import Event

from create_llm.data.order import Order
from create_llm.data.windows import Windows
from create_llm.models.objective import Batch, Objective
from create_llm.training.beside import thread_beside
from create_llm.training.randomness import derive_seed

_LOOK_EVERY = 0.5
"""Seconds after which requests are looked for while batches are waited for."""


@dataclass(frozen=True, slots=True)
class Batches:
    """Micro-batches by the global index of their first sample.

    Sample n of a run depends on the shards, the seed and n alone, so that the position of the
    data is one integer and any division into micro-batches or processes reads the same samples.
    """

    windows: Windows
    order: Order
    objective: Objective
    seed: int

    def micro(self, numbers: range) -> Batch:
        """The micro-batch of these samples of the run."""
        samples = [self.windows[self.order.index(n)] for n in numbers]
        seeds = [derive_seed(self.seed, "objective", n) for n in numbers]
        return self.objective.batch(samples, seeds)


class Prefetcher:
    """Makes the batches of the next step while this one is computed.

    It holds one step's batches, and nothing that resuming would need.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._worker = thread_beside("batches")
        self._closed = Event()
        self._ahead: tuple[tuple[range, ...], Future[list[Batch]]] | None = None

    def step(
        self, now: Sequence[range], then: Sequence[range], stopped: Callable[[], bool]
    ) -> list[Batch] | None:
        """The micro-batches `now`; those of `then` are begun on. None if `stopped` says so before
        they are there: a step of thousands of them takes a while."""
        wanted = tuple(now)
        if self._ahead is None or self._ahead[0] != wanted:
            self._begin(wanted)
        assert self._ahead is not None
        while not self._ahead[1].done():
            wait([self._ahead[1]], _LOOK_EVERY)
            if stopped():
                return None
        done = self._ahead[1].result()
        self._begin(tuple(then))
        return done

    def close(self) -> None:
        self._closed.set()
        self._worker.shutdown(cancel_futures=True)

    def _begin(self, numbers: tuple[range, ...]) -> None:
        self._ahead = (numbers, self._worker.submit(self._make, numbers))

    def _make(self, numbers: tuple[range, ...]) -> list[Batch]:
        waited_for = (each for each in numbers if not self._closed.is_set())
        return [self._batches.micro(each) for each in waited_for]


def divided(numbers: range, parts: int) -> Iterator[range]:
    """A range in at most `parts` consecutive ones of equal length; the last may be shorter."""
    size = -(-len(numbers) // parts)
    for first in range(numbers.start, numbers.stop, size):
        yield range(first, min(first + size, numbers.stop))
