"""A series of measurements: its middle, its noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

_TO_SIGMA = 1.4826
"""Of a normal distribution, the standard deviation over the median absolute deviation."""


def noise(values: Sequence[float]) -> float:
    """The standard deviation from one value to the next, of which outliers and a trend are no part.

    By the median of the absolute differences between neighbours.
    """
    if len(values) < 3:
        return math.inf
    return _TO_SIGMA * median(_steps(values)) / math.sqrt(2)


def noise_at_most(values: Sequence[float]) -> float:
    """What the noise is hardly above (2.5 %), however few the values that it is measured by.

    By that of the differences which their median is hardly above: of so many, this order statistic.
    """
    steps = sorted(_steps(values))
    rank = math.ceil((len(steps) + 1.96 * math.sqrt(len(steps))) / 2)
    return _TO_SIGMA * steps[min(rank, len(steps)) - 1] / math.sqrt(2) if steps else math.inf


def _steps(values: Sequence[float]) -> list[float]:
    return [abs(after - before) for before, after in pairwise(values)]


class Series:
    """(step, value), in the order they came: the first few and the last few hundred.

    Values that are not finite are left out.
    """

    KEPT, FIRST = 500, 50

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.values: list[float] = []
        self.first: list[float] = []
        self._count = 0

    def add(self, step: int, value: float) -> bool:
        if not math.isfinite(value):
            return False
        self._count += 1
        self.first += [value] * (len(self.first) < self.FIRST)
        self.steps.append(step)
        self.values.append(value)
        if len(self.values) >= 2 * self.KEPT:
            del self.steps[: -self.KEPT], self.values[: -self.KEPT]
        return True

    def __len__(self) -> int:
        """How many there have been."""
        return self._count

    def middle(self, last: int) -> float:
        """The median of the last values."""
        return median(self.values[-last:])
