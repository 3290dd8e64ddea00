"""Byte-level unigram language model (Kudo 2018)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

from tokenizers import models

from create_llm.data.control_tokens import kinds_by_place
from create_llm_tokenizers.config import UnigramConfig, reserve
from create_llm_tokenizers.fast import (
    FastTokenizer,
    byte_letters,
    byte_level,
    with_control_tokens,
    without_surrogates,
)
from create_llm_tokenizers.pieces import learn

# In bytes. Each byte of a word begins up to 24 sequences that are counted.
_LONGEST_WORD = 64


class ByteLevelUnigram(FastTokenizer):
    """Each token has a probability; a word is divided so that the product is the greatest.

    All 256 bytes are in the vocabulary, so that every text can be encoded.
    """

    @classmethod
    def train(
        cls, texts: Iterable[str], config: UnigramConfig, control_tokens: Sequence[str] = ()
    ) -> Self:
        """Learn the tokens; a small corpus gives a vocabulary smaller than `vocab_size`.

        Not by the UnigramTrainer of `tokenizers`. It takes the words in the order of a hash table
        that is seeded anew each time, so that ids and scores differ from run to run.
        """
        names = reserve(config, control_tokens)
        kinds = kinds_by_place(names)
        words: Counter[str] = Counter()
        divide = byte_level(models.Unigram(), _LONGEST_WORD).pre_tokenizer.pre_tokenize_str
        for text in map(without_surrogates, texts):
            words.update(word for word, _ in divide(text))
        room = config.vocab_size - len(names)
        pieces = learn(words, byte_letters(), room, config.min_frequency)
        vocabulary = [*((name, 0.0) for name in names), *pieces]
        model = models.Unigram(vocabulary, names.index(kinds["unk"]), byte_fallback=False)
        return cls(with_control_tokens(byte_level(model, _LONGEST_WORD), names), kinds)
