"""Byte-level byte-pair encoding (Sennrich et al. 2016; on bytes, Radford et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from create_llm_tokenizers.config import BPEConfig
from create_llm_tokenizers.fast import FastTokenizer, special_names, without_surrogates


class ByteLevelBPE(FastTokenizer):
    """GPT-2's scheme: text is divided by GPT-2's pattern, its bytes are merged into tokens.

    All 256 bytes are in the vocabulary, so that every text can be encoded.
    """

    @classmethod
    def train(cls, texts: Iterable[str], config: BPEConfig) -> Self:
        """Learn the merges; a small corpus gives a vocabulary smaller than `vocab_size`."""
        rust = byte_level(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=config.vocab_size,
            min_frequency=config.min_frequency,
            special_tokens=list(config.special_tokens),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        rust.train_from_iterator(map(without_surrogates, texts), trainer)
        return cls(rust, special_names(config.special_tokens))


def byte_level(model: models.BPE) -> tokenizers.Tokenizer:
    """A tokenizer over bytes, each spelt as a printable character in its file."""
    rust = tokenizers.Tokenizer(model)
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    rust.decoder = decoders.ByteLevel()
    return rust
