"""What a unigram vocabulary is chosen from: the sequences of letters that words have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from create_llm_tokenizers.config import BYTES
from create_llm_tokenizers.lattice import Floats, Ints, sums

LONGEST = 24
"""Letters of a piece at most. More cost time and were of no use in English and Spanish."""

# Letters of the distinct words that are learnt from, the most frequent words first. They take about
# 0.7 GB of memory; twice as many took twice the time and made text shorter by two in 10,000 tokens.
_MOST_LETTERS = 1_000_000


@dataclass(frozen=True)
class Text:
    """Distinct words in a row, after each of the 256 letters as a word that occurs 0 times.

    Attributes:
        spelt: all of them as one string.
        letters: the letter at each place, by number.
        lengths: letters of each word.
        weight: how often each word occurs.
        word: the word that each place is in.
        left: letters from each place to the end of its word.
    """

    spelt: str
    letters: Ints
    lengths: Ints
    weight: Floats
    word: Ints
    left: Ints

    @classmethod
    def of(cls, words: Mapping[str, int], letters: Sequence[str]) -> Text:
        """`letters` are sorted, and all that a word is spelt in."""
        ranked = sorted(words.items(), key=lambda word: (-word[1], word[0]))
        sizes = np.cumsum([len(word) for word, _ in ranked])
        used = ranked[: int(np.searchsorted(sizes, _MOST_LETTERS, side="right"))]
        counted = [*((letter, 0) for letter in letters), *used]
        spelt = "".join(word for word, _ in counted)
        codes = np.frombuffer(spelt.encode("utf-32-le"), dtype=np.uint32)
        lengths = np.array([len(word) for word, _ in counted])
        word = np.repeat(np.arange(len(lengths)), lengths)
        return cls(
            spelt=spelt,
            letters=np.searchsorted([ord(letter) for letter in letters], codes),
            lengths=lengths,
            weight=np.array([count for _, count in counted], dtype=np.float64),
            word=word,
            left=np.cumsum(lengths)[word] - np.arange(len(word)),
        )


@dataclass(frozen=True)
class Candidates:
    """Pieces by number, the letters first, and the spans of the text that they cover.

    Attributes:
        start: a place of each piece in the text.
        length: its letters.
        covered: how many letters of the text it covers, that is, frequency times length.
        span_place: where a piece occurs, one entry per occurrence in a distinct word.
        span_length: how long it is.
        span_piece: which one it is.
    """

    start: Ints
    length: Ints
    covered: Floats
    span_place: Ints
    span_length: Ints
    span_piece: Ints


def propose(text: Text, min_frequency: int, most: int) -> Candidates:
    """The letters, and the `most` sequences that cover the most letters."""
    found = _all_sequences(text, min_frequency)
    start = np.concatenate([each.first for each in found])
    length = np.concatenate([np.full(len(each.first), each.length) for each in found])
    covered = np.concatenate([each.frequency for each in found]) * length
    chosen = np.flatnonzero(_worth_proposing(found, min_frequency))
    rank = np.where(length == 1, np.inf, covered)[chosen]
    chosen = chosen[np.argsort(-rank, kind="stable")][: BYTES + most]
    numbers = np.full(len(start), -1)
    numbers[chosen] = np.arange(len(chosen))
    spans = _spans(found, numbers)
    return Candidates(start[chosen], length[chosen], covered[chosen], *spans)


@dataclass(frozen=True)
class _Sequences:
    """The sequences of one length.

    Attributes:
        place: where in the text there is one.
        number: which one it is.
        first: the first place of each.
        frequency: how often each occurs.
        parent: which one of the next shorter length each is, but for its last letter.
    """

    length: int
    place: Ints
    number: Ints
    first: Ints
    frequency: Floats
    parent: Ints


def _sequences(text: Text, length: int, place: Ints, parent: Ints) -> _Sequences:
    """Those at the given places, of which `parent` is known."""
    key = parent * BYTES + text.letters[place + length - 1]
    distinct, first, number = np.unique(key, return_index=True, return_inverse=True)
    frequency = sums(number, text.weight[text.word[place]], len(distinct))
    return _Sequences(length, place, number, place[first], frequency, distinct // BYTES)


def _all_sequences(text: Text, min_frequency: int) -> list[_Sequences]:
    """Of each length; a rare sequence has no longer ones, as they are as rare."""
    place = np.arange(len(text.letters))
    found = [_sequences(text, 1, place, np.zeros_like(place))]
    for length in range(2, LONGEST + 1):
        last = found[-1]
        goes_on = text.left[last.place] >= length
        goes_on &= (last.frequency >= min_frequency)[last.number]
        if not goes_on.any():
            break
        found.append(_sequences(text, length, last.place[goes_on], last.number[goes_on]))
    return found


def _worth_proposing(found: Sequence[_Sequences], min_frequency: int) -> NDArray[np.bool_]:
    """The letters, and what is frequent and not always followed by the same letter."""
    worth = []
    for each, longer in zip(found, [*found[1:], None], strict=True):
        followed = np.zeros(len(each.first))
        if longer is not None:
            np.maximum.at(followed, longer.parent, longer.frequency)
        varied = followed < each.frequency
        worth.append((each.length == 1) | (varied & (each.frequency >= min_frequency)))
    return np.concatenate(worth)


def _spans(found: Sequence[_Sequences], numbers: Ints) -> tuple[Ints, Ints, Ints]:
    """Place, length and piece of each occurrence; `numbers` has -1 for what is no piece."""
    places, lengths, pieces = [], [], []
    before = 0
    for each in found:
        piece = numbers[before + each.number]
        kept = piece >= 0
        places.append(each.place[kept])
        lengths.append(np.full(len(places[-1]), each.length))
        pieces.append(piece[kept])
        before += len(each.first)
    return np.concatenate(places), np.concatenate(lengths), np.concatenate(pieces)
