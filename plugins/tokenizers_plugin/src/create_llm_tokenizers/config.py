"""The [tokenizer] section of llm.toml, for the tokenizers of this package."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

BYTES = 256

# Text is divided into runs of letters, of digits and of other signs before tokens are learnt, so
# a name that mixes them cannot be learnt from text as an ordinary token. One that does not,
# say "pad", could: the id of a control token would then stand for a piece of text.
_CONTROL_TOKEN = re.compile(r"[<\[][^\s<>\[\]]*[A-Za-z][^\s<>\[\]]*[>\]]")


def _check_special_tokens(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _CONTROL_TOKEN.fullmatch(name):
            raise ValueError(
                f"'{name}' cannot be a control token: write a name in angle or square brackets, "
                "without spaces, such as <pad>"
            )
    if len(set(names)) != len(names):
        raise ValueError("a control token is listed twice")
    return names


SpecialTokenNames = Annotated[
    tuple[str, ...],
    AfterValidator(_check_special_tokens),
    Field(
        min_length=4,
        description="Control tokens: padding, unknown, beginning and end of text, in this order; "
        "then any more that you need. They come first in the vocabulary.",
        json_schema_extra={
            "cost": "Next to nothing: one row of the embedding each.",
            "try": "Leave them, unless a format you train on brings control tokens of its own.",
        },
    ),
]
DEFAULT_SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")


class BPEConfig(BaseModel):
    """Byte-level BPE."""

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
        description="How often a pair must occur in the text to become a token.",
        json_schema_extra={
            "cost": "None; a high number may leave the vocabulary smaller than vocab_size.",
            "try": "Leave it at 2: tokens that occur once cannot be learnt anyway.",
        },
    )
    special_tokens: SpecialTokenNames = DEFAULT_SPECIAL_TOKENS

    @model_validator(mode="after")
    def _room_for_bytes(self) -> BPEConfig:
        least = BYTES + len(self.special_tokens)
        if self.vocab_size < least:
            raise ValueError(
                f"vocab_size must be at least {least}: {BYTES} bytes and "
                f"{len(self.special_tokens)} control tokens"
            )
        return self


class ByteConfig(BaseModel):
    """Plain bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    special_tokens: SpecialTokenNames = DEFAULT_SPECIAL_TOKENS
