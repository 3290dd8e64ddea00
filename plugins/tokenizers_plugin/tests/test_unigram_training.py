"""What a unigram vocabulary is learnt with."""

from __future__ import annotations

import random

import pytest

from create_llm_tokenizers.fast import byte_letters
from create_llm_tokenizers.pieces import learn

LETTERS = byte_letters()
WORDS = {"Ġwhich": 500, "Ġwhile": 30, "Ġwhiles": 20, "once": 40, "nonce": 20, "ch": 10, "Ċ": 90}


def test_all_letters_are_pieces_and_none_is_there_twice():
    for size in (256, 257, 260, 300, 1000):
        pieces = learn(WORDS, LETTERS, size, 2)
        assert len(pieces) == len(dict(pieces)) <= size
        assert set(LETTERS) <= set(dict(pieces))


def test_a_frequent_word_that_is_part_of_no_other_is_a_piece():
    pieces = dict(learn(WORDS, LETTERS, 300, 2))
    assert pieces["Ġwhich"] == max(pieces.values())


def test_letters_that_the_text_lacks_are_the_least_probable():
    pieces = dict(learn(WORDS, LETTERS, 300, 2))
    seen = set().union(*WORDS)
    lacking = max(pieces[letter] for letter in set(LETTERS) - seen)
    assert lacking < min(score for piece, score in pieces.items() if set(piece) <= seen)


@pytest.mark.parametrize("words", [{}, {"a": 1}, {"ab": 1}, {"ĀāĀāĀāĀāĀāĀāĀāĀāĀā": 1}])
def test_too_little_text_gives_the_letters(words):
    assert set(dict(learn(words, LETTERS, 400, 2))) >= set(LETTERS)


def test_rare_sequences_are_no_pieces():
    words = {"Ġhello": 3, "Ġworld": 1, "Ġwood": 1}
    pieces = dict(learn(words, LETTERS, 400, 3))
    assert "Ġhello" in pieces
    assert not any("w" in piece for piece in pieces if len(piece) > 1)


def test_any_words_give_a_vocabulary_within_its_size():
    chance = random.Random(1)
    for _ in range(25):
        alphabet = chance.sample(LETTERS, chance.randrange(1, 60))
        words = {
            "".join(chance.choices(alphabet, k=chance.randrange(1, 40))): chance.randrange(1, 20)
            for _ in range(chance.randrange(1, 60))
        }
        size = chance.randrange(256, 700)
        pieces = dict(learn(words, LETTERS, size, chance.choice([1, 2, 3])))
        assert len(pieces) <= size
        assert set(LETTERS) <= set(pieces)
