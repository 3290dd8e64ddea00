"""What a model wrote, in what a service answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, Field, ValidationError

from create_llm.responses import one_line

_MANY = 10**12
"""Tokens of one answer; more is no number that anybody counted."""
_NAME = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote.

    Attributes:
        model: as the service calls it; empty where it does not say.
        cut_off: it had no room for more.
    """

    text: str
    model: str
    cut_off: bool
    input_tokens: int
    output_tokens: int


class _Message(BaseModel):
    content: object = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: object = None


class _Completion(BaseModel):
    """As much as is needed; services differ in the rest."""

    choices: list[_Choice] = Field(min_length=1)
    model: object = None
    usage: object = None


def reply_in(body: bytes, hidden: Callable[[str], str]) -> Reply | None:
    """The reply in an answer; None where it is no chat completion.

    Args:
        hidden: takes the key out of what a service says, which is kept.
    """
    try:
        found = _Completion.model_validate_json(body)
    except ValidationError:
        return None
    choice = found.choices[0]
    content = choice.message.content
    usage = found.usage if isinstance(found.usage, dict) else {}
    return Reply(
        hidden(content) if isinstance(content, str) else "",
        hidden(one_line(found.model))[:_NAME] if isinstance(found.model, str) else "",
        choice.finish_reason == "length",
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
    )


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < _MANY else 0
