"""The contract of tokenizers, for both of this package."""

from __future__ import annotations

from typing import ClassVar

from create_llm.testing import TokenizerContract

SPACE_SIGN = "\u2581"


class SentencePieceContract(TokenizerContract):
    options: ClassVar = {"vocab_size": 700}
    loses: ClassVar = "the sign U+2581, which is how SentencePiece writes a space"

    def expected(self, text: str) -> str:
        return text.replace(SPACE_SIGN, " ")


class TestUnigram(SentencePieceContract):
    name = "sentencepiece-unigram"


class TestBPE(SentencePieceContract):
    name = "sentencepiece-bpe"


del SentencePieceContract, TokenizerContract  # pytest would run them, as they are named like tests
