"""How much of the validation text also stands in the training text: shared runs of 13 words.

A run is 13 words in a row of one document, each lower-cased and without punctuation, divided by
white space: what GPT-3's study of contamination compares (Brown et al. 2020, "Language Models are
Few-Shot Learners", arXiv:2005.14165, appendix C). Documents are compared by 64-bit hashes of their
runs, so that memory stays the same whatever the size of the corpus: at most `KEPT_RUNS` runs of
the validation side are kept, those of whole documents, and a table of 16 MB to find them by. The
training side is only looked at. Where validation holds more, what is kept is a fair sample of its
documents, and the training text is still compared whole.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORDS = 13
KEPT_RUNS = 2**21

Hashes = NDArray[np.uint64]

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_TABLE_BITS = 24
_SHIFT = np.uint64(64 - _TABLE_BITS)
_ASCII_PUNCTUATION = string.punctuation.encode()


@dataclass(frozen=True, slots=True)
class Overlap:
    """What the training side holds of the validation side.

    Attributes:
        documents: of validation, that were compared.
        shared_documents: of these, with at least one run that training holds too.
        runs: different runs of 13 words in them.
        shared_runs: of these, in the training text too.
        sampled: whether validation holds more documents than could be kept.
    """

    documents: int
    shared_documents: int
    runs: int
    shared_runs: int
    sampled: bool


def words_of(text: str) -> list[str]:
    """Lower-cased words without punctuation; a writing without spaces has few or none."""
    # ASCII is dealt with in bytes, and of the rest only what occurs: twice as fast as a pattern.
    data = text.lower().encode("utf-8", "surrogatepass").translate(None, _ASCII_PUNCTUATION)
    plain = data.decode("utf-8", "surrogatepass")
    if not plain.isascii():
        for character in filter(_is_punctuation, set(plain)):
            plain = plain.replace(character, "")
    return plain.split()


def _is_punctuation(character: str) -> bool:
    """Whether it is punctuation or a symbol in Unicode."""
    return unicodedata.category(character)[0] in "PS"


def hash_runs(texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """The hashes of all runs in texts, one text after the other, and how many each text has.

    Hashes are Python's of the words: equal within a process, others in the next.
    """
    words: list[str] = []
    lengths = np.zeros(len(texts), np.int64)
    for place, text in enumerate(texts):
        found = words_of(text)
        lengths[place] = len(found)
        words += found
    count = len(words) - WORDS + 1
    if count < 1:
        return np.zeros(0, np.uint64), np.zeros(len(texts), np.int64)
    hashed = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
    runs = np.zeros(count, np.uint64)
    for place in range(WORDS):
        runs = runs * _FACTOR + hashed[place : place + count]
    # A run must not begin in one text and end in the next.
    ends = np.repeat(np.cumsum(lengths), lengths)[:count]
    whole = np.arange(count) + WORDS <= ends
    return runs[whole], np.maximum(lengths - WORDS + 1, 0)


class ValidationRuns:
    """The runs of the validation documents, or of a fair sample of them.

    Args:
        limit: how many runs to keep; a document stays or goes as a whole.
    """

    def __init__(self, limit: int = KEPT_RUNS) -> None:
        self._limit = limit
        self._below = 1.0
        self.hashes: Hashes = np.zeros(0, np.uint64)
        self.lengths = np.zeros(0, np.int64)
        self._positions = np.zeros(0)

    @property
    def sampled(self) -> bool:
        return self._below < 1.0

    def add(self, texts: Sequence[str], positions: Sequence[float]) -> None:
        """Keep the runs of these documents.

        Args:
            positions: of each, uniform in [0, 1) and the same for equal texts.
        """
        wanted = [place for place, position in enumerate(positions) if position < self._below]
        hashes, lengths = hash_runs([texts[place] for place in wanted])
        long_enough = lengths > 0
        self.hashes = np.concatenate([self.hashes, hashes])
        self.lengths = np.concatenate([self.lengths, lengths[long_enough]])
        added = np.array([positions[place] for place in wanted])
        self._positions = np.concatenate([self._positions, added[long_enough]])
        while len(self.hashes) > self._limit and self._drop_half():
            pass

    def _drop_half(self) -> bool:
        """Keep the documents in the lower half; False where all stand at one position."""
        middle = float(np.median(self._positions))
        kept = self._positions < middle
        if not kept.any():
            return False
        self._below = middle
        self.hashes = self.hashes[np.repeat(kept, self.lengths)]
        self.lengths, self._positions = self.lengths[kept], self._positions[kept]
        return True


class Comparison:
    """Finds the runs of the validation side in training documents."""

    def __init__(self, validation: ValidationRuns) -> None:
        self._validation = validation
        self._known: Hashes = np.unique(validation.hashes)
        self._shared = np.zeros(len(self._known), np.bool_)
        # Rules out nearly all other runs by one look-up, ten times as fast as a binary search.
        self._maybe = np.zeros(1 << _TABLE_BITS, np.bool_)
        self._maybe[self._known >> _SHIFT] = True

    def look_at(self, texts: Sequence[str]) -> None:
        """Note what these training documents share with the validation side."""
        if not len(self._known):
            return
        hashes, _ = hash_runs(texts)
        likely = hashes[self._maybe[hashes >> _SHIFT]]
        places = np.minimum(np.searchsorted(self._known, likely), len(self._known) - 1)
        self._shared[places[self._known[places] == likely]] = True

    def result(self) -> Overlap:
        lengths = self._validation.lengths
        shared_documents = 0
        if len(lengths):
            shared = self._shared[np.searchsorted(self._known, self._validation.hashes)]
            starts = np.cumsum(lengths) - lengths
            shared_documents = int(np.logical_or.reduceat(shared, starts).sum())
        return Overlap(
            documents=len(lengths),
            shared_documents=shared_documents,
            runs=len(self._known),
            shared_runs=int(self._shared.sum()),
            sampled=self._validation.sampled,
        )
