"""What a unigram vocabulary is learnt with, against counting by hand."""

import math
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from create_llm_tokenizers.candidates import Text, propose
from create_llm_tokenizers.fast import byte_letters
from create_llm_tokenizers.lattice import Lattice
from create_llm_tokenizers.pieces import _digamma, learn

LETTERS = byte_letters()


def divisions(word, pieces):
    """All ways to write the word as a list of pieces."""
    if not word:
        return [[]]
    ends = [end for end in range(1, len(word) + 1) if word[:end] in pieces]
    return [[word[:end], *rest] for end in ends for rest in divisions(word[end:], pieces)]


@pytest.fixture
def example():
    """Random words over three letters, random pieces with random scores, and their lattice."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abc", k=chance.randrange(1, 9))) for _ in range(30)]
    inner = {word[i:j] for word in words for i in range(8) for j in range(i + 2, i + 5)}
    pieces = ["a", "b", "c", *sorted(p for p in inner if len(p) > 1 and chance.random() < 0.4)]
    score = {piece: math.log(chance.uniform(0.01, 0.3)) for piece in pieces}
    return words, score


def lattice_of(words, pieces):
    number = {piece: i for i, piece in enumerate(pieces)}
    spans, node = [], 0
    for word in words:
        found = [(i, j) for i in range(len(word)) for j in range(i + 1, len(word) + 1)]
        spans += [(node + i, node + j, number[w]) for i, j in found if (w := word[i:j]) in number]
        node += len(word) + 1
    lengths = np.array([len(word) for word in words])
    return Lattice(lengths, *(np.array(column) for column in zip(*spans, strict=True)))


def expected_by_hand(words, score, weight):
    uses = Counter()
    for word, times in zip(words, weight, strict=True):
        ways = divisions(word, score)
        chances = [math.exp(sum(score[piece] for piece in way)) for way in ways]
        for way, chance in zip(ways, chances, strict=True):
            for piece in way:
                uses[piece] += times * chance / sum(chances)
    return [uses[piece] for piece in score]


def test_expected_uses_are_those_over_all_divisions(example):
    words, score = example
    weight = np.arange(1.0, len(words) + 1)
    found = lattice_of(words, score).expected(np.array([*score.values()]), weight)
    assert found == pytest.approx(expected_by_hand(words, score, weight))


def test_the_best_division_is_the_best_of_all(example):
    words, score = example
    pieces = list(score)
    string, piece = lattice_of(words, score).best(np.array([*score.values()]))
    for i, word in enumerate(words):
        used = [pieces[p] for p in piece[string == i]][::-1]
        assert "".join(used) == word
        best = max(sum(score[p] for p in way) for way in divisions(word, score))
        assert sum(score[p] for p in used) == pytest.approx(best)


def test_dropped_pieces_are_used_no_more(example):
    words, score = example
    kept = np.array([len(piece) == 1 or i % 2 == 0 for i, piece in enumerate(score)])
    lattice = lattice_of(words, score)
    lattice.renumber(np.where(kept, np.cumsum(kept) - 1, -1))
    left = {piece: value for (piece, value), keep in zip(score.items(), kept, strict=True) if keep}
    assert len(left) < len(score)
    weight = np.ones(len(words))
    found = lattice.expected(np.array([*left.values()]), weight)
    assert found == pytest.approx(expected_by_hand(words, left, weight))


def test_candidates_are_the_sequences_that_words_share():
    words = {"Ġwhich": 5, "Ġwhile": 3, "Ġonce": 1}
    text = Text.of(words, LETTERS)
    found = propose(text, min_frequency=2, most=1000)
    spelt = [text.spelt[a : a + n] for a, n in zip(found.start, found.length, strict=True)]
    assert spelt[:256] == LETTERS
    # What is always followed by the same letter ("Ġwh" by "i") is left out; "Ġonce" is rare.
    assert {"Ġwhi", "whi", "hi", "Ġwhich", "which", "ch", "Ġwhile", "le"} <= set(spelt[256:])
    assert not {"Ġwh", "Ġwhic", "wh", "Ġonce", "on"} & set(spelt[256:])
    covered = dict(zip(spelt, found.covered, strict=True))
    assert (covered["Ġwhi"], covered["Ġwhich"], covered["h"], covered["z"]) == (32, 30, 13, 0)
    assert [a >= b for a, b in pairwise(found.covered[256:])] == [True] * (len(spelt) - 257)
    few = propose(text, min_frequency=2, most=2)
    assert len(few.start) == 258
    assert (few.start[256:] == found.start[256:258]).all()


def test_spans_are_all_places_of_all_candidates():
    words = {"abab": 2, "abc": 2, "bab": 1}
    text = Text.of(words, LETTERS)
    found = propose(text, min_frequency=1, most=1000)
    spelt = [text.spelt[a : a + n] for a, n in zip(found.start, found.length, strict=True)]
    spans = zip(found.span_place, found.span_length, found.span_piece, strict=True)
    for place, length, piece in spans:
        assert text.spelt[place : place + length] == spelt[piece]
    occurrences = Counter(spelt[piece] for piece in found.span_piece)
    assert (occurrences["ab"], occurrences["bab"], occurrences["abab"]) == (4, 2, 1)


def test_all_letters_stay_and_the_size_is_a_limit():
    words = {"Ġwhich": 5, "Ġwhile": 3, "Ġwhiles": 2, "once": 4, "nonce": 2}
    for size in (256, 257, 260):
        pieces = learn(words, LETTERS, size, min_frequency=2)
        assert len(pieces) == len(dict(pieces)) == size
        assert set(LETTERS) <= set(dict(pieces))
        assert pieces == sorted(pieces, key=lambda piece: (-piece[1], piece[0]))
    assert len(learn({}, LETTERS, 1000, min_frequency=1)) == 256


def test_a_frequent_word_is_more_probable_than_its_parts():
    pieces = dict(learn({"Ġwhich": 500, "Ġwish": 5, "which": 5}, LETTERS, 300, min_frequency=2))
    assert pieces["Ġwhich"] > pieces["h"]
    assert pieces["Ġwhich"] == max(pieces.values())


def test_digamma_is_the_derivative_of_log_gamma():
    x = np.array([0.5, 1.0, 2.5, 6.0, 7.0, 100.0, 1e9])
    exact = [-1.963510026, -0.577215665, 0.703156641, 1.706117668, 1.872784335, 4.600161853]
    assert _digamma(x)[:-1] == pytest.approx(exact, abs=1e-7)
    assert _digamma(x)[-1] == pytest.approx(math.log(1e9), abs=1e-8)
