"""What this package brings: the tokenizers `bpe`, `wordpiece`, `unigram` and `byte`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_tokenizers(register: Register) -> None:
    register(
        "bpe",
        "create_llm_tokenizers.bpe:ByteLevelBPE",
        summary="Byte-level BPE, learnt from your text; encodes anything.",
        config="create_llm_tokenizers.config:BPEConfig",
    )
    register(
        "wordpiece",
        "create_llm_tokenizers.wordpiece:ByteLevelWordPiece",
        summary="Byte-level WordPiece: the longest token that fits comes next; encodes anything.",
        config="create_llm_tokenizers.config:WordPieceConfig",
    )
    register(
        "unigram",
        "create_llm_tokenizers.unigram:ByteLevelUnigram",
        summary="Byte-level unigram: the most probable tokens of each word; encodes anything.",
        config="create_llm_tokenizers.config:UnigramConfig",
    )
    register(
        "byte",
        "create_llm_tokenizers.byte:ByteTokenizer",
        summary="One token per UTF-8 byte; nothing to train.",
        config="create_llm_tokenizers.config:ByteConfig",
    )
