"""All ways to divide strings into pieces: sums and maxima over them, in arrays."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Lattice:
    """Spans between nodes: a string of n letters has n + 1 nodes, numbered in order.

    Each node can be reached, so each letter is a piece. Everything is computed in one thread and
    in a fixed order: the same input gives the same floats.

    Args:
        lengths: letters of each string, at least one.
        start: the node where each span begins.
        end: the node where it ends, of the same string.
        piece: the number of the piece that it spells.
    """

    def __init__(self, lengths: Ints, start: Ints, end: Ints, piece: Ints) -> None:
        self._last = np.cumsum(lengths + 1) - 1
        self._first = self._last - lengths
        self._string = np.repeat(np.arange(len(lengths)), lengths + 1)
        depth = np.arange(len(self._string)) - self._first[self._string]
        self._forward = _Spans(start, end, piece, depth[end])
        self._backward = _Spans(end, start, piece, -depth[start])

    def renumber(self, numbers: Ints) -> None:
        """Give each piece its new number; the spans of those with -1 are dropped."""
        self._forward.renumber(numbers)
        self._backward.renumber(numbers)

    def expected(self, score: Floats, weight: Floats) -> Floats:
        """How often each piece is used, on average over all divisions by their probability.

        Args:
            score: log-probability of each piece.
            weight: how often each string occurs.
        """
        before, after = self._log_sums(self._forward, score), self._log_sums(self._backward, score)
        spans = self._forward
        string = self._string[spans.near]
        whole = before[self._last][string]
        share = np.exp(before[spans.near] + score[spans.piece] + after[spans.far] - whole)
        return sums(spans.piece, share * weight[string], len(score))

    def best(self, score: Floats) -> tuple[Ints, Ints]:
        """The most probable division of each string: one entry per use, its string and piece."""
        spans = self._forward
        total = np.zeros(len(self._string))
        chosen = np.zeros(len(self._string), dtype=np.int64)
        for step, cuts in spans:
            value = total[spans.near[step]] + score[spans.piece[step]]
            top = np.maximum.reduceat(value, cuts)
            winners = np.flatnonzero(value == _spread(top, cuts, len(value)))
            # Of equals the first: the longest.
            group = np.searchsorted(cuts, winners, side="right")
            winners = winners[np.unique(group, return_index=True)[1]]
            node = spans.far[step][cuts]
            total[node], chosen[node] = top, step.start + winners
        return self._walk_back(chosen)

    def _walk_back(self, chosen: Ints) -> tuple[Ints, Ints]:
        """From the ends of all strings at once to their beginnings, by the span of each node."""
        strings, pieces = [], []
        string, node = np.arange(len(self._last)), self._last
        while len(node):
            strings.append(string)
            pieces.append(self._forward.piece[chosen[node]])
            node = self._forward.near[chosen[node]]
            inside = node > self._first[string]
            string, node = string[inside], node[inside]
        return np.concatenate(strings), np.concatenate(pieces)

    def _log_sums(self, spans: _Spans, score: Floats) -> Floats:
        """Of each node, the log of the summed probability of all ways to it."""
        total = np.zeros(len(self._string))
        for step, cuts in spans:
            value = total[spans.near[step]] + score[spans.piece[step]]
            top = np.maximum.reduceat(value, cuts)
            summed = np.add.reduceat(np.exp(value - _spread(top, cuts, len(value))), cuts)
            total[spans.far[step][cuts]] = top + np.log(summed)
        return total


class _Spans:
    """Spans in the order of a pass over the nodes: when a span's turn comes, `near` is done."""

    def __init__(self, near: Ints, far: Ints, piece: Ints, turn: Ints) -> None:
        order = np.lexsort((near, far, turn))
        self.near, self.far, self.piece = near[order], far[order], piece[order]
        self._turn = turn[order]

    def renumber(self, numbers: Ints) -> None:
        piece = numbers[self.piece]
        kept = piece >= 0
        self.near, self.far, self._turn = self.near[kept], self.far[kept], self._turn[kept]
        self.piece = piece[kept]

    def __iter__(self) -> Iterator[tuple[slice, Ints]]:
        """The spans whose turn is the same, and where among them those to another node begin."""
        bounds = [0, *(np.flatnonzero(np.diff(self._turn)) + 1), len(self._turn)]
        for start, stop in pairwise(bounds):
            yield slice(start, stop), np.flatnonzero(np.diff(self.far[start:stop], prepend=-1))


def sums(numbers: Ints, values: Floats, size: int) -> Floats:
    """The sum of the values of each number below `size`."""
    return np.asarray(np.bincount(numbers, values, size), dtype=np.float64)


def _spread(values: Floats, cuts: Ints, total: int) -> Floats:
    """Each group's value, once for each of its members."""
    return np.repeat(values, np.diff(cuts, append=total))
