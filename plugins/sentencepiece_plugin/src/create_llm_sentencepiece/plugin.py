"""What this package brings: the tokenizers `sentencepiece-unigram` and `sentencepiece-bpe`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_tokenizers(register: Register) -> None:
    register(
        "sentencepiece-unigram",
        "create_llm_sentencepiece.tokenizer:SentencePieceUnigram",
        summary="SentencePiece's unigram model, with a .model file; bytes for rare characters.",
        config="create_llm_sentencepiece.config:SentencePieceConfig",
    )
    register(
        "sentencepiece",
        "create_llm_sentencepiece.tokenizer:SentencePieceUnigram",
        summary="The same as sentencepiece-unigram.",
        config="create_llm_sentencepiece.config:SentencePieceConfig",
    )
    register(
        "sentencepiece-bpe",
        "create_llm_sentencepiece.tokenizer:SentencePieceBPE",
        summary="SentencePiece's BPE, with a .model file; bytes for rare characters.",
        config="create_llm_sentencepiece.config:SentencePieceConfig",
    )
