"""From the position in a run to the micro-batch that stands there."""

from __future__ import annotations

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

    def micro(self, first: int, size: int) -> Batch:
        """The micro-batch of samples first … first + size - 1."""
        numbers = range(first, first + size)
        samples = [self.windows[self.order.index(n)] for n in numbers]
        seeds = [derive_seed(self.seed, "objective", n) for n in numbers]
        return self.objective.batch(samples, seeds)
