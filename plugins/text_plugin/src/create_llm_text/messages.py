"""Conversations: lists of messages in the forms that are about, as segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from create_llm.data.documents import Segment
from create_llm.errors import nearest
from create_llm_text.rows import RowError, clean

_ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "bot", "ai"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "ipython"), "tool"),
}
_ROLE_KEYS = ("role", "from")
_TEXT_KEYS = ("content", "value", "text")
_WEIGHT_KEYS = ("weight", "loss_weight")


def is_messages(value: object) -> bool:
    """Whether this is a list of objects with a role each."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(each, Mapping) and _key(each, _ROLE_KEYS) for each in value)


def segments_of(value: object, column: str, system: str | None = None) -> tuple[Segment, ...]:
    """The turns of a conversation; those of the assistant carry loss.

    An assistant's message with a weight of 0 (`weight`, as OpenAI has it, or `loss_weight`) is
    context alone. A system message without text says nothing and is left out.

    Args:
        column: what the list is called, for messages.
        system: a system message that stands beside the list.

    Raises:
        RowError: it is no list of messages, or one of them cannot be used; says which.
    """
    if not isinstance(value, list) or not value:
        what = "is empty" if value in (None, [], "") else "is not a list of messages"
        raise RowError(f"{column} {what}", _FORM)
    turns = [_segment(message, number) for number, message in enumerate(value, start=1)]
    if system:
        turns.insert(0, Segment("system", system, loss=False))
    return tuple(turn for turn in turns if turn.text)


_FORM = 'write [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]'


def need_answer(segments: Sequence[Segment], column: str) -> None:
    """Raise RowError unless there is something that the model can learn to produce."""
    if not any(segment.loss for segment in segments):
        raise RowError(
            f"{column} hold no answer to learn: no message of the assistant that counts",
            'add a message with "role": "assistant", or remove the row',
        )


def _segment(message: object, number: int) -> Segment:
    if not isinstance(message, Mapping):
        raise RowError(f"message {number} is not an object with a role and a text", _FORM)
    role = _role(message, number)
    text = _text(message, number)
    if not text.strip() and role != "system":
        raise RowError(f"message {number} is empty", "write its text, or remove the row")
    return Segment(role, text, loss=role == "assistant" and _counts(message, number))


def _role(message: Mapping[str, object], number: int) -> str:
    key = _key(message, _ROLE_KEYS)
    written = message[key] if key else None
    if not isinstance(written, str):
        raise RowError(f"message {number} has no role", _FORM)
    role = _ROLES.get(written.lower())
    if role is None:
        near = nearest(written.lower(), _ROLES)
        known = "use system, user, assistant or tool"
        fix = f"did you mean '{_ROLES[near]}'? {known}" if near else known
        raise RowError(f"message {number} has the unknown role '{written[:40]}'", fix)
    return role


def _text(message: Mapping[str, object], number: int) -> str:
    if message.get("tool_calls") or message.get("function_call"):
        raise RowError(
            f"message {number} calls a tool, which has no text to learn from",
            "write the call into the text of the message, or remove the row",
        )
    key = _key(message, _TEXT_KEYS)
    value = message[key] if key else None
    if isinstance(value, list):
        return "".join(_part(part, number) for part in value)
    if not isinstance(value, str):
        what = "has no text" if value is None else "has a text that is not a string"
        raise RowError(f"message {number} {what}", _FORM)
    return clean(value, f"message {number}")


def _part(part: object, number: int) -> str:
    """One part of a typed content; only text is text."""
    if isinstance(part, str):
        return clean(part, f"message {number}")
    if isinstance(part, Mapping) and part.get("type", "text") == "text":
        key = _key(part, _TEXT_KEYS)
        value = part[key] if key else None
        if isinstance(value, str):
            return clean(value, f"message {number}")
    kind = part.get("type") if isinstance(part, Mapping) else None
    what = f"a part of type '{kind}'" if isinstance(kind, str) else "a part that is not text"
    raise RowError(f"message {number} holds {what[:60]}", "only text can be learnt from")


def _counts(message: Mapping[str, object], number: int) -> bool:
    key = _key(message, _WEIGHT_KEYS)
    weight = message[key] if key else None
    if weight is None:
        return True
    if not isinstance(weight, int | float) or weight < 0:
        raise RowError(f"message {number} has a {key} that is no number from 0 on", "use 0 or 1")
    return weight > 0


def _key(values: Mapping[str, object], names: Sequence[str]) -> str | None:
    return next((name for name in names if values.get(name) is not None), None)
