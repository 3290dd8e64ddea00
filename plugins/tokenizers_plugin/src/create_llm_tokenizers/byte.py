"""Text as its UTF-8 bytes (as in ByT5, Xue et al. 2022): no training, no unknown text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from tokenizers import models

from create_llm.data.control_tokens import kinds_by_place
from create_llm_tokenizers.config import ByteConfig, reserve
from create_llm_tokenizers.fast import (
    FastTokenizer,
    byte_letters,
    byte_level,
    with_control_tokens,
)


class ByteTokenizer(FastTokenizer):
    """One token per byte: byte-level BPE without merges, in the same file format."""

    @classmethod
    def train(
        cls, texts: Iterable[str], config: ByteConfig, control_tokens: Sequence[str] = ()
    ) -> Self:
        """Build the vocabulary; the texts are not read."""
        names = reserve(config, control_tokens)
        vocabulary = {token: number for number, token in enumerate([*names, *byte_letters()])}
        rust = byte_level(models.BPE(vocab=vocabulary, merges=[]))
        return cls(with_control_tokens(rust, names), kinds_by_place(names))
