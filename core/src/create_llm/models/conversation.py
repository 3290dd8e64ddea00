"""A conversation with a model.

It is written out by the chat template that the model learnt. A model that was trained on plain
text knows no roles: for it the conversation is a script, which it continues until it would speak
for the other side.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.data.chat.encoding import ROLES, ChatEncoder
from create_llm.data.documents import Segment
from create_llm.errors import ConfigError, DataError, did_you_mean
from create_llm.models.engine import Notice, TextModel
from create_llm.models.generation import Prompt, Sampling, TextStream
from create_llm.storage.durable import Storage

_SPEAKERS = {"user": "You", "assistant": "Model", "system": "Note", "tool": "Tool"}


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `role` is system, user, assistant or tool."""

    role: str
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ConfigError(
                f"'{self.role}' is not a role",
                fixes=(*did_you_mean(self.role, ROLES), f"use one of: {', '.join(ROLES)}"),
            )


def messages_of(rows: Sequence[Mapping[str, str]]) -> list[Message]:
    """Messages of the form {"role": …, "content": …}.

    Raises:
        ConfigError: one is of another form, or of an unknown role; says which.
    """
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping) or set(row) != {"role", "content"}:
            raise ConfigError(
                f"message {number} is not of the form {{'role': …, 'content': …}}: {row!r:.80}",
                where="messages",
                fixes=("write [{'role': 'user', 'content': 'Hello'}]",),
            )
    return [Message(row["role"], row["content"]) for row in rows]


def reply(
    model: TextModel, messages: Sequence[Message], sampling: Sampling, notice: Notice
) -> TextStream:
    """Stream the model's next turn.

    Where the conversation leaves no room for an answer, its oldest turns are left out, whole, and
    `notice` hears of it. System messages at the beginning stay.

    Raises:
        ConfigError: the last turn alone is longer than what the model reads.
        DataError: the template refuses the conversation.
    """
    prompt = _fitting(form_of(model), messages, model, sampling, notice)
    return TextStream(model, prompt, sampling, notice)


class Form(Protocol):
    """How a conversation is written out."""

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The conversation up to where the model's answer begins."""
        ...


def form_of(model: TextModel) -> Form:
    """By the model's template, or as a script."""
    return _Script(model) if model.template is None else _Templated(model)


class _Templated:
    def __init__(self, model: TextModel) -> None:
        assert model.template is not None
        self._encoder = ChatEncoder(model.tokenizer, model.template)
        end = self._encoder.end_of_turn()
        self._ends = frozenset(() if end.token is None else (end.token,))
        self._stop = (end.text,) if end.text else ()

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        segments = [Segment(message.role, message.content) for message in messages]
        ids = tuple(self._encoder.render_prompt(segments))
        return Prompt(messages[-1].content, ids, self._ends, self._stop)


class _Script:
    def __init__(self, model: TextModel) -> None:
        self._tokenizer = model.tokenizer
        self._stop = tuple(f"\n{speaker}:" for speaker in _SPEAKERS.values())

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        script = f"{render(messages)}{_SPEAKERS['assistant']}:"
        ids = tuple(self._tokenizer.encode_batch([script])[0])
        return Prompt(messages[-1].content, ids, stop=self._stop)


def render(messages: Sequence[Message]) -> str:
    """The conversation as a script, one line a turn."""
    return "".join(f"{_SPEAKERS[message.role]}: {message.content}\n" for message in messages)


def _fitting(
    form: Form,
    messages: Sequence[Message],
    model: TextModel,
    sampling: Sampling,
    notice: Notice,
) -> Prompt:
    """The prompt of as many of the last turns as leave room for an answer."""
    rules, turns = _turns(messages)

    def without(first: int) -> Prompt:
        kept = [message for turn in turns[first:] for message in turn]
        return form.prompt([*rules, *kept])

    most = model.longest_prompt
    room = most - min(sampling.max_new_tokens, most // 2)
    dropped = bisect_left(
        range(len(turns) - 1), True, key=lambda first: len(without(first).ids) <= room
    )
    prompt = without(dropped)
    if len(prompt.ids) > most:
        raise ConfigError(
            f"the message takes {len(prompt.ids)} tokens, and the model reads {most} at once",
            fixes=(
                "say it in fewer words, or in parts",
                "train a model that reads more: llm config explain model.max_length",
            ),
        )
    if dropped:
        turns_are = "turn is" if dropped == 1 else f"{dropped} turns are"
        notice(f"the conversation no longer fits {most} tokens: its first {turns_are} left out")
    return prompt


def _turns(messages: Sequence[Message]) -> tuple[Sequence[Message], list[list[Message]]]:
    """The system messages in front; then each message of the user with what answers it.

    Raises:
        ConfigError: there is nothing to answer.
    """
    first = next((i for i, message in enumerate(messages) if message.role != "system"), None)
    if first is None:
        raise ConfigError(
            "there is no message to answer", fixes=("end with a message of the role 'user'",)
        )
    turns: list[list[Message]] = []
    for message in messages[first:]:
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return messages[:first], turns


class _Turn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: str
    content: str


class _Saved(BaseModel):
    model_config = ConfigDict(extra="forbid")
    messages: list[_Turn]


def save_conversation(messages: Sequence[Message], path: Path) -> None:
    """Write the messages as one row of chat data, which could be trained on."""
    row = {"messages": [asdict(message) for message in messages]}
    Storage().replace_file(path, f"{json.dumps(row, ensure_ascii=False)}\n".encode())


def load_conversation(path: Path) -> list[Message]:
    """Read what `save_conversation` wrote.

    Raises:
        DataError: there is no such file, or it holds no conversation.
    """
    try:
        saved = _Saved.model_validate_json(path.read_bytes())
        return [Message(turn.role, turn.content) for turn in saved.messages]
    except FileNotFoundError as error:
        raise DataError(
            "there is no such file", where=str(path), fixes=("save one first: /save FILE",)
        ) from error
    except ValidationError as error:
        raise _no_conversation(path, error.errors()[0]["msg"]) from error
    except ConfigError as error:
        raise _no_conversation(path, error.what) from error


def _no_conversation(path: Path, problem: str) -> DataError:
    return DataError(
        f"the file holds no conversation: {problem}",
        where=str(path),
        fixes=('it should hold {"messages": [{"role": "user", "content": "…"}, …]}',),
    )
