"""Byte-level byte-pair encoding (Sennrich et al. 2016; on bytes, Radford et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from tokenizers import models, trainers

from create_llm.data.control_tokens import kinds_by_place
from create_llm_tokenizers.config import BPEConfig, reserve
from create_llm_tokenizers.fast import (
    FastTokenizer,
    byte_letters,
    byte_level,
    without_surrogates,
)


class ByteLevelBPE(FastTokenizer):
    """GPT-2's scheme: text is divided by GPT-2's pattern, its bytes are merged into tokens.

    All 256 bytes are in the vocabulary, so that every text can be encoded.
    """

    @classmethod
    def train(
        cls, texts: Iterable[str], config: BPEConfig, control_tokens: Sequence[str] = ()
    ) -> Self:
        """Learn the merges; a small corpus gives a vocabulary smaller than `vocab_size`."""
        names = reserve(config, control_tokens)
        rust = byte_level(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=config.vocab_size,
            min_frequency=config.min_frequency,
            special_tokens=names,
            initial_alphabet=byte_letters(),
            show_progress=False,
        )
        rust.train_from_iterator(map(without_surrogates, texts), trainer)
        return cls(rust, kinds_by_place(names))
