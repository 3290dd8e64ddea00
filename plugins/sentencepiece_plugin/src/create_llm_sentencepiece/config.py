"""The [tokenizer] section of llm.toml, for the tokenizers of this package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from create_llm.data.control_tokens import (
    DEFAULT_SPECIAL_TOKENS,
    SpecialTokenNames,
    all_control_tokens,
)
from create_llm.errors import ConfigError

BYTES = 256

# Pieces that every vocabulary has beside the bytes: the space sign and the characters that the
# names of bytes and of control tokens are written in, some forty at most; and some to learn.
_LEAST_LEARNT = 64


class SentencePieceConfig(BaseModel):
    """SentencePiece, unigram or BPE."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocab_size: int = Field(
        default=32000,
        le=1_000_000,
        description="Entries of the vocabulary at most, the 256 bytes and the control tokens "
        "included. More make shorter sequences and a larger model.",
        json_schema_extra={
            "cost": "Memory and time of the embedding and the output layer, in proportion.",
            "try": "4096 to 8192 for a few megabytes of text; 32000 from a few hundred on.",
        },
    )
    character_coverage: float = Field(
        default=0.9995,
        gt=0.5,
        le=1.0,
        description="Share of the text whose characters become pieces; rarer ones are encoded as "
        "their bytes.",
        json_schema_extra={
            "cost": "Near 1, a large alphabet takes entries that longer pieces could have.",
            "try": "0.9995 for Chinese, Japanese or Korean; 1.0 for small alphabets.",
        },
    )
    special_tokens: SpecialTokenNames = DEFAULT_SPECIAL_TOKENS

    @model_validator(mode="after")
    def _room_to_learn(self) -> Self:
        if self.vocab_size < _least(self.special_tokens):
            raise ValueError(_too_small(self.special_tokens))
        return self


def reserve(config: SentencePieceConfig, control_tokens: Sequence[str]) -> list[str]:
    """All control tokens: the configured ones, then those of `control_tokens` not among them.

    Raises:
        ConfigError: one of them cannot be a control token, or `vocab_size` has no room for them.
    """
    names = all_control_tokens(config.special_tokens, control_tokens)
    if config.vocab_size < _least(names):
        raise ConfigError(
            _too_small(names),
            where=f"tokenizer.vocab_size = {config.vocab_size}",
            fixes=(
                f"make it larger: --set tokenizer.vocab_size={_least(names)}",
                "or choose an objective that needs fewer control tokens",
            ),
        )
    return names


def _least(names: Sequence[str]) -> int:
    return BYTES + len(names) + _LEAST_LEARNT


def _too_small(names: Sequence[str]) -> str:
    return (
        f"vocab_size must be at least {_least(names)}: {BYTES} bytes, {len(names)} control tokens "
        f"and {_LEAST_LEARNT} pieces"
    )
