"""Documents whose text stands in the corpus more than once."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

KEPT_DOCUMENTS = 2**21


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often texts are repeated.

    Attributes:
        documents: that repeat an earlier one; an estimate where `sampled`.
        share: of all documents.
        sampled: whether there are more documents than could be remembered.
        most: position → how often, of the texts that are repeated most.
    """

    documents: int
    share: float
    sampled: bool
    most: Mapping[float, int]


class RepeatCounter:
    """Remembers texts by their position in the split, a hash of 53 bits: 8 bytes a document.

    Among a million documents two different ones share a position once in 18,000 corpora. Beyond
    `limit` documents those in the lower half of the positions are remembered, then those in the
    lower quarter, and so on: equal texts stay or go together, so that the share stays fair.
    """

    def __init__(self, limit: int = KEPT_DOCUMENTS) -> None:
        self._limit = limit
        self._below = 1.0
        self._positions = array("d")
        self._seen = 0

    def add(self, position: float) -> None:
        self._seen += 1
        if position < self._below:
            self._positions.append(position)
            if len(self._positions) > self._limit:
                self._below /= 2
                kept = np.array(self._positions)
                self._positions = array("d", kept[kept < self._below].tobytes())

    def result(self, most: int = 3) -> Repeats:
        """
        Args:
            most: how many of the most repeated texts to name.
        """
        positions, counts = np.unique(np.array(self._positions), return_counts=True)
        share = float((counts - 1).sum()) / max(len(self._positions), 1)
        order = np.argsort(-counts, kind="stable")[:most]
        return Repeats(
            documents=round(share * self._seen),
            share=share,
            sampled=self._below < 1.0,
            most={float(positions[i]): int(counts[i]) for i in order if counts[i] > 1},
        )
