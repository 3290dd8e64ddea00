"""The order of samples: a keyed permutation of each epoch, computed, never stored."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
# Four rounds look random with strong round functions (Luby and Rackoff 1988); halves of one or
# two bits, as an epoch of a few samples has, need more.
_ROUNDS = 8


class Order(Protocol):
    """Which sample comes when, in an endless run; found in constant time, with nothing kept."""

    def index(self, n: int) -> int:
        """The sample at position n >= 0 of the run, from 0."""
        ...


class SampleOrder:
    """Which sample comes n-th in an endless run over `size` samples.

    Each epoch is a permutation of its own. It is an eight-round Feistel network over the smallest
    power of four that covers `size`; values beyond `size` are permuted again until they fall
    inside ("cycle walking", Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains"),
    which takes fewer than four turns on average. State is three numbers, time is constant, and
    any position can be asked for first: resuming needs nothing but n.
    """

    def __init__(self, size: int, seed: int, shuffle: bool) -> None:
        if size < 1:
            raise ValueError(f"an order needs at least one sample, got {size}")
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
        self._half_bits = max(1, ((size - 1).bit_length() + 1) // 2)

    def index(self, n: int) -> int:
        """The sample at position n >= 0 of the run, from 0 to size - 1."""
        if n < 0:
            raise ValueError(f"positions start at 0, got {n}")
        epoch, place = divmod(n, self.size)
        if not self.shuffle:
            return place
        keys = _round_keys(self.seed & _MASK, epoch)
        place = self._permute(place, keys)
        while place >= self.size:
            place = self._permute(place, keys)
        return place

    def _permute(self, value: int, keys: tuple[int, ...]) -> int:
        bits = self._half_bits
        mask = (1 << bits) - 1
        left, right = value >> bits, value & mask
        for key in keys:
            left, right = right, left ^ (_mix(right + key) >> (64 - bits))
        return left << bits | right


def derived_seed(seed: int, number: int) -> int:
    """One of many seeds that follow from one, so that orders have nothing to do with each other."""
    return _mix(_mix(seed) + _GOLDEN * (number + 1))


@lru_cache(maxsize=64)
def _round_keys(seed: int, epoch: int) -> tuple[int, ...]:
    state = _mix(_mix(seed + _GOLDEN) ^ epoch)
    return tuple(_mix(state + _GOLDEN * turn) for turn in range(1, _ROUNDS + 1))


def _mix(value: int) -> int:
    """splitmix64's finaliser (Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number
    Generators", with Stafford's constants, variant 13): 64 bits to 64 bits, each depending on all.
    """
    value &= _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31
