"""The contract of tokenizers, for each tokenizer of this package."""

from __future__ import annotations

from typing import ClassVar

from create_llm.testing import TokenizerContract


class TestBPE(TokenizerContract):
    name = "bpe"
    options: ClassVar = {"vocab_size": 400}


class TestWordPiece(TokenizerContract):
    name = "wordpiece"
    options: ClassVar = {"vocab_size": 400}


class TestUnigram(TokenizerContract):
    name = "unigram"
    options: ClassVar = {"vocab_size": 400}


class TestByte(TokenizerContract):
    name = "byte"
