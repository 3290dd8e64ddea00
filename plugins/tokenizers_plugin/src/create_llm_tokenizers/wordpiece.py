"""Byte-level WordPiece (Schuster and Nakajima 2012; Wu et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from tokenizers import models, trainers

from create_llm.data.control_tokens import kinds_by_place
from create_llm_tokenizers.config import WordPieceConfig, reserve
from create_llm_tokenizers.fast import (
    FastTokenizer,
    byte_letters,
    byte_level,
    without_surrogates,
)

# In bytes. The library's WordPiece takes time quadratic in the length of a word, and gives up
# where one is longer than it is told.
_LONGEST_WORD = 32


class ByteLevelWordPiece(FastTokenizer):
    """A word is divided from the left, each time by the longest token that fits.

    The vocabulary is learnt as the library does it for BERT, by merging the most frequent pair.
    Where a word begins is said by the space in front of it, as in Wu et al., not by BERT's "##"
    before what continues one. So "##" in a text means itself, and a byte is one entry, not two.
    The library, moreover, numbers the tokens with "##" in an order that differs from run to run.
    """

    @classmethod
    def train(
        cls, texts: Iterable[str], config: WordPieceConfig, control_tokens: Sequence[str] = ()
    ) -> Self:
        """Learn the tokens; a small corpus gives a vocabulary smaller than `vocab_size`."""
        names = reserve(config, control_tokens)
        kinds = kinds_by_place(names)
        model = models.WordPiece(unk_token=kinds["unk"], max_input_chars_per_word=_LONGEST_WORD)
        rust = byte_level(model, _LONGEST_WORD)
        trainer = trainers.WordPieceTrainer(
            vocab_size=config.vocab_size,
            min_frequency=config.min_frequency,
            special_tokens=names,
            initial_alphabet=byte_letters(),
            continuing_subword_prefix="",
            show_progress=False,
        )
        rust.train_from_iterator(map(without_surrogates, texts), trainer)
        return cls(rust, kinds)
