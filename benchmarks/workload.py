"""What every contender of throughput.py trains, and how its speed is counted.

Imports nothing but the standard library: contenders run in environments of their own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Workload:
    """A decoder-only transformer with one matrix for reading and predicting tokens.

    Attributes:
        width: numbers that stand for a token between layers.
        feed_forward: inner width of the feed-forward layer.
        matrices: of a feed-forward layer: 2, or 3 where it has a gate.
        context: tokens in a sequence.
        batch: sequences in a step.
    """

    layers: int = 4
    heads: int = 4
    width: int = 256
    feed_forward: int = 1024
    matrices: int = 2
    vocabulary: int = 10_000
    context: int = 512
    batch: int = 16

    @property
    def tokens_per_step(self) -> int:
        return self.batch * self.context

    @property
    def multiplying_weights(self) -> int:
        """Parameters that multiply every token: the matrices of the layers, and the head once."""
        attention = 4 * self.width**2
        feed_forward = self.matrices * self.width * self.feed_forward
        return self.layers * (attention + feed_forward) + self.vocabulary * self.width

    @property
    def flops_per_token(self) -> int:
        """Of a whole training step: 6 for each multiplying parameter, and causal attention's
        matrix products at half, since a token sees half of the others on average."""
        return 6 * self.multiplying_weights + 6 * self.layers * self.width * self.context


GPT2 = Workload()
# A gate makes three matrices of the feed-forward layer, each narrower: 2 % more in the layers.
QWEN3 = Workload(feed_forward=704, matrices=3)


@dataclass(frozen=True, slots=True)
class Run:
    """What one process measured.

    Attributes:
        seconds: wall-clock time of each step after the warm-up, all that a step needs included.
        parameters: trainable ones, shared ones once.
        precision: of the matrix products, as the contender names it.
        note: what else a reader should know.
    """

    seconds: Sequence[float]
    parameters: int
    precision: str
    note: str = ""

    def report(self) -> None:
        """Print as the last line of this process's output."""
        print(json.dumps(asdict(self)), flush=True)


class StepClock:
    """Wall-clock time from one step's end to the next one's, so that nothing between them is free.

    The first `warmup` steps, at least one, do not count.
    """

    def __init__(self, warmup: int) -> None:
        self._warmup = warmup
        self._ends: list[float] = []

    def step_ended(self) -> None:
        self._ends.append(time.perf_counter())

    @property
    def seconds(self) -> list[float]:
        return [after - before for before, after in pairwise(self._ends[self._warmup - 1 :])]
