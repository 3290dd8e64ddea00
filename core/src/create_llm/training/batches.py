"""From the position in a run to the micro-batch that stands there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from create_llm.data.order import SampleOrder
from create_llm.data.windows import Windows
from create_llm.models.objective import Batch, Objective
from create_llm.training.randomness import derive_seed


@dataclass(frozen=True, slots=True)
class Batches:
    """Micro-batches by the global index of their first sample.

    Sample n of a run depends on the shards, the seed and n alone, so that the position of the
    data is one integer and any division into micro-batches or processes reads the same samples.
    """

    windows: Windows
    order: SampleOrder
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
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: tuple[tuple[range, ...], Future[list[Batch]]] | None = None

    def step(self, now: Sequence[range], then: Sequence[range]) -> list[Batch]:
        """The micro-batches `now`; those of `then` are begun on."""
        wanted = tuple(now)
        ahead = self._ahead
        done = ahead[1].result() if ahead and ahead[0] == wanted else self._make(wanted)
        self._ahead = (tuple(then), self._worker.submit(self._make, tuple(then)))
        return done

    def close(self) -> None:
        self._worker.shutdown(cancel_futures=True)

    def _make(self, numbers: tuple[range, ...]) -> list[Batch]:
        return [self._batches.micro(each) for each in numbers]


def divided(numbers: range, parts: int) -> Iterator[range]:
    """A range in at most `parts` consecutive ones of equal length; the last may be shorter."""
    size = -(-len(numbers) // parts)
    for first in range(numbers.start, numbers.stop, size):
        yield range(first, min(first + size, numbers.stop))
