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


class ByteConfig(BaseModel):
    """Plain bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    special_tokens: SpecialTokenNames = DEFAULT_SPECIAL_TOKENS


class LearntConfig(BaseModel):
    """What the tokenizers have in common that learn a vocabulary over bytes."""

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
    min_frequency: int = Field(
        default=2,
        ge=1,
        description="How often a sequence must occur in the text to become a token.",
        json_schema_extra={
            "cost": "None; a high number may leave the vocabulary smaller than vocab_size.",
            "try": "Leave it at 2: tokens that occur once cannot be learnt anyway.",
        },
    )
    special_tokens: SpecialTokenNames = DEFAULT_SPECIAL_TOKENS

    @model_validator(mode="after")
    def _room_for_bytes(self) -> Self:
        if self.vocab_size < BYTES + len(self.special_tokens):
            raise ValueError(_too_small(len(self.special_tokens)))
        return self


class BPEConfig(LearntConfig):
    """Byte-level BPE."""


class WordPieceConfig(LearntConfig):
    """Byte-level WordPiece."""


class UnigramConfig(LearntConfig):
    """Byte-level unigram."""


def reserve(config: LearntConfig | ByteConfig, control_tokens: Sequence[str]) -> list[str]:
    """All control tokens: the configured ones, then those of `control_tokens` not among them.

    Raises:
        ConfigError: one of them cannot be a control token, or `vocab_size` has no room for them.
    """
    own = config.special_tokens
    names = all_control_tokens(own, control_tokens)
    if isinstance(config, LearntConfig) and config.vocab_size < BYTES + len(names):
        raise ConfigError(
            f"{_too_small(len(names))}, {len(names) - len(own)} of them asked for by the objective",
            where=f"tokenizer.vocab_size = {config.vocab_size}",
            fixes=(
                f"make it larger: --set tokenizer.vocab_size={BYTES + len(names)}",
                "or choose an objective that needs fewer control tokens",
            ),
        )
    return names


def _too_small(control: int) -> str:
    least = BYTES + control
    return f"vocab_size must be at least {least}: {BYTES} bytes and {control} control tokens"
