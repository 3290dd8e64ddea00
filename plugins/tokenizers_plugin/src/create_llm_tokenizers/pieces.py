"""The vocabulary of a unigram model, by expectation maximization and pruning (Kudo 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from create_llm_tokenizers.candidates import LONGEST, Text, propose
from create_llm_tokenizers.config import BYTES
from create_llm_tokenizers.lattice import Floats, Ints, Lattice, sums

# As in SentencePiece: rounds of EM before each pruning, the part of the pieces that a pruning
# leaves, the expected uses below which a piece goes at once, and how far above its final size a
# vocabulary is no longer pruned; the least probable pieces then go.
_ROUNDS = 2
_LEFT = 0.75
_RARE = 0.5
_MARGIN = 1.1

# Enough that the merit of a piece, not its length or frequency alone, decides.
_CANDIDATES_PER_PIECE = 10
_LEAST_CANDIDATES = 100_000


def learn(
    words: Mapping[str, int], letters: Sequence[str], size: int, min_frequency: int
) -> list[tuple[str, float]]:
    """At most `size` pieces with their log-probabilities, the most probable first.

    Args:
        words: how often each word occurs; it is spelt in `letters`.
        letters: the 256 that bytes are spelt in, sorted; all of them become pieces.
        min_frequency: how often a longer piece has to occur.
    """
    most = max(_CANDIDATES_PER_PIECE * size, _LEAST_CANDIDATES)
    pieces = _Pieces(Text.of(words, letters), min_frequency, most)
    enough = int(_MARGIN * size)
    pieces.maximize()
    while len(pieces) > enough:
        pieces.prune(max(enough, int(_LEFT * len(pieces))))
        pieces.maximize()
    return pieces.most_probable(size)


class _Pieces:
    """The pieces in the running, by number; the first 256 are the letters, which stay."""

    def __init__(self, text: Text, min_frequency: int, most: int) -> None:
        found = propose(text, min_frequency, most)
        self._text = text
        self._start, self._length = found.start, found.length
        self._spans = (found.span_place, found.span_length, found.span_piece)
        self._score = np.log(np.maximum(found.covered, _RARE) / max(found.covered.sum(), _RARE))
        # Each word has one node more than letters.
        node = found.span_place + text.word[found.span_place]
        self._words = Lattice(text.lengths, node, node + found.span_length, found.span_piece)

    def __len__(self) -> int:
        return len(self._score)

    def maximize(self) -> None:
        """Make the scores those under which the text is more probable; drop what is not used."""
        for _ in range(_ROUNDS):
            expected = self._words.expected(self._score, self._text.weight)
            used = expected >= _RARE
            used[:BYTES] = True
            self._keep(used)
            uses = np.maximum(expected[used], _RARE)
            # The digamma function instead of the logarithm: a prior for few pieces.
            self._score = _digamma(uses) - _digamma(uses.sum(keepdims=True))

    def prune(self, size: int) -> None:
        """Keep the `size` pieces without which the text would be the least probable."""
        loss = self._loss()
        order = np.argsort(-loss, kind="stable")[:size]
        kept = np.zeros(len(self), dtype=np.bool_)
        kept[order] = loss[order] > -np.inf
        self._keep(kept)

    def most_probable(self, size: int) -> list[tuple[str, float]]:
        rank = np.where(np.arange(len(self)) < BYTES, np.inf, self._score)
        chosen = np.argsort(-rank, kind="stable")[:size]
        pieces = [(self._spelling(i), round(float(self._score[i]), 6)) for i in chosen]
        return sorted(pieces, key=lambda piece: (-piece[1], piece[0]))

    def _spelling(self, piece: int) -> str:
        start = self._start[piece]
        return self._text.spelt[start : start + self._length[piece]]

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the other pieces, and number those that stay anew."""
        numbers = np.where(kept, np.cumsum(kept) - 1, -1)
        self._words.renumber(numbers)
        place, length, piece = self._spans
        stay = kept[piece]
        self._spans = (place[stay], length[stay], numbers[piece[stay]])
        self._start, self._length = self._start[kept], self._length[kept]
        self._score = self._score[kept]

    def _loss(self) -> Floats:
        """How much less probable the text is when a piece is replaced by others, of each piece.

        Estimated from the most probable divisions of the text and of the piece itself; infinite
        for letters, minus infinite for pieces that no division uses.
        """
        word, used = self._words.best(self._score)
        uses = sums(used, self._text.weight[word], len(self))
        piece, other = self._replacements()
        others = np.bincount(piece, minlength=len(self))
        whole = uses.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            replaced = sums(piece, np.log(uses[other] + uses[piece]), len(self))
            replaced -= others * np.log(whole + uses * (others - 1))
            loss: Floats = uses * (np.log(uses / whole) - replaced)
        loss[uses == 0] = -np.inf
        loss[:BYTES] = np.inf
        return loss

    def _replacements(self) -> tuple[Ints, Ints]:
        """The best division of each piece into others: one entry per use, the piece and the other.

        Letters have none.
        """
        start, length = self._start[BYTES:], self._length[BYTES:]
        node = np.cumsum(length + 1) - (length + 1)
        spans = []
        for size in range(1, LONGEST):
            piece_at = self._pieces_of(size)
            for offset in range(LONGEST - size + 1):
                string = np.flatnonzero((length > size) & (length >= offset + size))
                piece = piece_at[start[string] + offset]
                begin = node[string[piece >= 0]] + offset
                spans.append((begin, begin + size, piece[piece >= 0]))
        begin, end, piece = (np.concatenate(column) for column in zip(*spans, strict=True))
        string, other = Lattice(length, begin, end, piece).best(self._score)
        return string + BYTES, other

    def _pieces_of(self, size: int) -> Ints:
        """At each place of the text, the piece of that many letters; -1 where there is none."""
        place, length, piece = self._spans
        found = np.full(len(self._text.letters), -1)
        found[place[length == size]] = piece[length == size]
        return found


def _digamma(x: Floats) -> Floats:
    """The derivative of log Γ for x > 0, to 7 digits: a recurrence, then an asymptotic series."""
    below, x = np.zeros_like(x), x.copy()
    for _ in range(6):
        small = x < 6
        below[small] -= 1 / x[small]
        x[small] += 1
    y = 1 / (x * x)
    return below + np.log(x) - 0.5 / x - y * (1 / 12 - y * (1 / 120 - y / 252))
