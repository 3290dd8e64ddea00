"""Text as its UTF-8 bytes (as in ByT5, Xue et al. 2022): no training, no unknown text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from tokenizers import AddedToken, models, pre_tokenizers

from create_llm_tokenizers.bpe import byte_level
from create_llm_tokenizers.config import ByteConfig
from create_llm_tokenizers.fast import FastTokenizer, special_names


class ByteTokenizer(FastTokenizer):
    """One token per byte: byte-level BPE without merges, in the same file format."""

    @classmethod
    def train(cls, texts: Iterable[str], config: ByteConfig) -> Self:
        """Build the vocabulary; the texts are not read."""
        entries = [*config.special_tokens, *sorted(pre_tokenizers.ByteLevel.alphabet())]
        vocabulary = {token: number for number, token in enumerate(entries)}
        rust = byte_level(models.BPE(vocab=vocabulary, merges=[]))
        rust.add_special_tokens([AddedToken(name, special=True) for name in config.special_tokens])
        return cls(rust, special_names(config.special_tokens))
