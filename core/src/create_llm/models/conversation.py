"""A conversation with a model that was trained on plain text.

Such a model knows no roles. The conversation is written out as a script, which it continues until
it would speak for the other side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from create_llm.errors import ConfigError
from create_llm.models.generation import Notice, Sampling, TextStream
from create_llm.models.loaded import LoadedModel

_SPEAKERS = {"user": "You", "assistant": "Model", "system": "Note"}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn; `role` is user, assistant or system."""

    role: str
    content: str


def reply(
    model: LoadedModel, messages: Sequence[Message], sampling: Sampling, notice: Notice
) -> TextStream:
    """Stream the model's next turn."""
    stop = tuple(f"\n{speaker}:" for speaker in _SPEAKERS.values())
    script = render(messages) + f"{_SPEAKERS['assistant']}:"
    return TextStream(model, script, replace(sampling, stop=(*sampling.stop, *stop)), notice)


def render(messages: Sequence[Message]) -> str:
    """The conversation as a script, one line a turn.

    Raises:
        ConfigError: a role that is none of user, assistant and system.
    """
    lines = []
    for message in messages:
        if message.role not in _SPEAKERS:
            raise ConfigError(
                f"'{message.role}' is not a role", fixes=(f"use one of: {', '.join(_SPEAKERS)}",)
            )
        lines.append(f"{_SPEAKERS[message.role]}: {message.content}\n")
    return "".join(lines)
