"""Control tokens: how they may be spelt, which are of which kind, and how Hugging Face is told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from create_llm.errors import ConfigError

# Text is divided into runs of letters, of digits and of other signs before tokens are learnt, so
# a name that mixes them cannot be learnt from text as an ordinary token. One that does not,
# say "pad", could: the id of a control token would then stand for a piece of text.
_CONTROL_TOKEN = re.compile(r"[<\[][^\s<>\[\]]*[A-Za-z][^\s<>\[\]]*[>\]]")

_ORDER = ("pad", "unk", "bos", "eos")
MASKS = ("<mask>", "[MASK]")
DEFAULT_SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")


def _check_spelling(names: Sequence[str]) -> None:
    for name in names:
        if not _CONTROL_TOKEN.fullmatch(name):
            raise ValueError(
                f"'{name}' cannot be a control token: write a name in angle or square brackets, "
                "without spaces, such as <pad>"
            )


def _check_special_tokens(names: tuple[str, ...]) -> tuple[str, ...]:
    _check_spelling(names)
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
"""The key `special_tokens` of a tokenizer's configuration."""


def all_control_tokens(own: Sequence[str], asked: Sequence[str]) -> list[str]:
    """The configured ones, then those that the objective asks for and that are not among them.

    Raises:
        ConfigError: one of them cannot be a control token.
    """
    try:
        _check_spelling(asked)
    except ValueError as error:
        raise ConfigError(str(error), where="the control tokens of the objective") from error
    return list(dict.fromkeys((*own, *asked)))


def kinds_by_place(names: Sequence[str]) -> dict[str, str]:
    """Kind → spelling for control tokens in the order of `special_tokens`."""
    kinds = dict(zip(_ORDER, names, strict=False))
    masks = [name for name in names[len(_ORDER) :] if name in MASKS]
    return {**kinds, "mask": masks[0]} if masks else kinds


def hf_tokenizer_config(kinds: Mapping[str, str], control: Sequence[str]) -> str:
    """tokenizer_config.json, as Hugging Face's transformers reads it beside tokenizer.json."""
    more = [name for name in control if name not in kinds.values()]
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **{f"{kind}_token": name for kind, name in sorted(kinds.items())},
        **({"additional_special_tokens": more} if more else {}),
    }
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"
