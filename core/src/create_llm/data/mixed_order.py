"""The order of samples of several sources, each of which has a share of the run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate

from create_llm.data.order import SampleOrder, derived_seed


class MixedOrder:
    """Which sample comes n-th where sources are mixed by weight; their samples are numbered one
    source after another.

    An epoch has as many samples as all sources have together, and gives each source a part of
    them: a permutation of the epoch says which source each position belongs to. The samples of a
    source come in an order of its own, which goes on from epoch to epoch and begins anew when the
    source is used up. So a source is read evenly, however often; and any position can be asked
    for first.

    Attributes:
        shares: how many samples of an epoch are of each source.
    """

    def __init__(
        self, sizes: Sequence[int], weights: Sequence[float], seed: int, shuffle: bool
    ) -> None:
        self.size = sum(sizes)
        self.shares = apportioned(weights, self.size)
        self._slots = SampleOrder(self.size, seed, shuffle)
        self._orders = [
            SampleOrder(size, derived_seed(seed, number), shuffle)
            for number, size in enumerate(sizes)
        ]
        self._first_slots = tuple(accumulate(self.shares, initial=0))
        self._first_samples = tuple(accumulate(sizes, initial=0))

    @property
    def passes(self) -> tuple[float, ...]:
        """How often an epoch reads each source."""
        pairs = zip(self.shares, self._orders, strict=True)
        return tuple(share / order.size for share, order in pairs)

    def index(self, n: int) -> int:
        """The sample at position n >= 0 of the run, from 0 to size - 1."""
        epoch, slot = n // self.size, self._slots.index(n)
        source = bisect_right(self._first_slots, slot) - 1
        drawn = epoch * self.shares[source] + slot - self._first_slots[source]
        return self._first_samples[source] + self._orders[source].index(drawn)


def apportioned(weights: Sequence[float], total: int) -> tuple[int, ...]:
    """Whole numbers that add up to `total` and are in proportion to the weights, each at least 1.

    By largest remainders (Hamilton's method); equal ones go to whoever comes first. Exact: floats
    are taken for the fractions that they are.

    Args:
        weights: greater than 0; no more of them than `total`.
    """
    exact = [Fraction(weight) for weight in weights]
    quotas = [total * weight / sum(exact) for weight in exact]
    parts = [max(int(quota), 1) for quota in quotas]
    by_lack = sorted(range(len(parts)), key=lambda i: parts[i] - quotas[i])
    for i in by_lack[: max(total - sum(parts), 0)]:
        parts[i] += 1
    while sum(parts) > total:  # what was raised to 1 is taken from the largest
        parts[parts.index(max(parts))] -= 1
    return tuple(parts)
