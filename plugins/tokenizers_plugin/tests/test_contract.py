"""The contract of tokenizers, for `bpe` and `byte`."""

from __future__ import annotations

from typing import ClassVar

from create_llm.testing import TokenizerContract


class TestBPE(TokenizerContract):
    name = "bpe"
    options: ClassVar = {"vocab_size": 400}


class TestByte(TokenizerContract):
    name = "byte"
