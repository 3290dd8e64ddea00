"""A conversation written out by its template, knowing which text is whose.

A template is rendered twice: with the messages' texts, and with a marker in place of each. The
second tells the template's own text apart from that of messages; filled in again, it must be the
first. Where it is not, because the template changes what it is given or decides by it, control
tokens are spelt otherwise in the messages that it gets, and each message's text is what differs
when that message alone is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from create_llm.data.chat import sandbox
from create_llm.data.chat.template import ChatTemplate
from create_llm.data.documents import Segment

_KEPT_MESSAGES = 64
"""Of a conversation whose form is kept: a server would else fill its memory with forms of what
anybody sends."""

_Render = Callable[[Sequence[str]], str]
"""What a template makes of the messages with these texts in place of their own."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of what was rendered.

    Attributes:
        message: number of the message whose text it is; None for the template's own.
        control: whether it is the spelling of a control token, and meant as that.
    """

    text: str
    message: int | None = None
    control: bool = False


class Renderer:
    """Renders conversations by one template."""

    def __init__(
        self,
        template: ChatTemplate,
        control_tokens: Sequence[str],
        variables: Mapping[str, object],
    ) -> None:
        """
        Args:
            control_tokens: spellings of all that the tokenizer has.
            variables: what the template gets beside the conversation.
        """
        self._template, self._variables = template, variables
        # As tokenizers find them: leftmost, and the longest of those that begin there.
        longest_first = [re.escape(n) for n in sorted(control_tokens, key=len, reverse=True)]
        self._control = re.compile(f"({'|'.join(longest_first) or '(?!)'})")
        self._firsts = sorted({name[0] for name in control_tokens})
        begins = [f"{re.escape(name[0])}(?={re.escape(name[1:])})" for name in control_tokens]
        self._begins = re.compile("|".join(begins) or "(?!)")
        # Conversations have few forms: who speaks when.
        self._kept_form = lru_cache(maxsize=1024)(self._rendered_form)

    def pieces(self, messages: Sequence[Segment], *, prompt: bool = False) -> list[Piece]:
        """What the template makes of the messages: joined, the pieces are what it renders.

        Nothing that a message says is a control token.

        Args:
            prompt: go on to where the model's answer begins.

        Raises:
            DataError: the template refuses the messages.
        """
        roles = tuple(message.role for message in messages)
        contents = [message.text for message in messages]
        found = self._filled_in(roles, contents, prompt) or self._compared(
            contents, lambda texts: self._render(roles, texts, prompt)
        )
        return [piece for piece in found if piece.text or piece.message is not None]

    def _render(self, roles: Sequence[str], contents: Sequence[str], prompt: bool) -> str:
        given: dict[str, object] = {
            "messages": [
                {"role": role, "content": content}
                for role, content in zip(roles, contents, strict=True)
            ],
            "add_generation_prompt": prompt,
            "tools": None,
            "documents": None,
            **self._variables,
        }
        return sandbox.render(self._template.source, self._template.name, given)

    def _form(self, roles: tuple[str, ...], prompt: bool, sign: str) -> list[str]:
        rendered = self._kept_form if len(roles) <= _KEPT_MESSAGES else self._rendered_form
        return rendered(roles, prompt, sign)

    def _rendered_form(self, roles: Sequence[str], prompt: bool, sign: str) -> list[str]:
        """The template's own text and, at odd places, the numbers of messages between."""
        marks = [f"{sign}{i}{sign}" for i in range(len(roles))]
        return re.split(f"{sign}([0-9]+){sign}", self._render(roles, marks, prompt))

    def _filled_in(
        self, roles: tuple[str, ...], contents: Sequence[str], prompt: bool
    ) -> list[Piece] | None:
        """The pieces where texts come out as they are, or stripped; else None."""
        whole = self._render(roles, contents, prompt)
        [sign] = _unused(whole + self._template.source, 1)
        form = self._form(roles, prompt, sign)
        for texts in (contents, [text.strip() for text in contents]):
            filled = [texts[int(part)] if place % 2 else part for place, part in enumerate(form)]
            if "".join(filled) == whole:
                return list(self._pieces_of_form(form, filled))
        return None

    def _pieces_of_form(self, form: Sequence[str], filled: Sequence[str]) -> Iterator[Piece]:
        for place, text in enumerate(filled):
            if place % 2:
                yield Piece(text, int(form[place]))
            else:
                yield from self._divided(text)

    def _compared(self, contents: Sequence[str], render: _Render) -> list[Piece]:
        """The pieces, found by replacing one message after the other."""
        text = self._template.source + "".join(contents)
        sign, *veils = _unused(text, 1 + len(self._firsts))
        veiled = dict(zip(self._firsts, veils, strict=True))
        hidden = [self._begins.sub(lambda found: veiled[found[0]], c) for c in contents]
        whole = render(hidden)
        unveiled = str.maketrans({veil: first for first, veil in veiled.items()})
        return [
            Piece(piece.text.translate(unveiled), piece.message, piece.control)
            for start, end, message in _divisions(whole, hidden, sign, render)
            for piece in self._divided(whole[start:end], message)
        ]

    def _divided(self, text: str, message: int | None = None) -> Iterator[Piece]:
        """Control tokens and what is between them, in text in which they are meant as such."""
        for place, part in enumerate(self._control.split(text)):
            yield Piece(part, None if place % 2 else message, bool(place % 2))


def _unused(text: str, count: int) -> list[str]:
    """Characters that the text does not hold, those for private use first."""
    return list(islice((c for c in map(chr, range(0xE000, 0x110000)) if c not in text), count))


def _divisions(
    whole: str, contents: Sequence[str], sign: str, render: _Render
) -> Iterator[tuple[int, int, int | None]]:
    """Start, end and message (None: the template's own) of each stretch of the rendered text."""
    done = 0
    for start, end, message in sorted(_regions(whole, contents, sign, render)):
        if end < done:
            continue  # inside another's, as where a template takes them in another order
        yield done, start, None
        yield max(start, done), end, message
        done = end
    yield done, len(whole), None


def _regions(
    whole: str, contents: Sequence[str], sign: str, render: _Render
) -> Iterator[tuple[int, int, int]]:
    """Where each message that is rendered begins and ends, and its number."""
    for i in range(len(contents)):
        other = render([*contents[:i], sign, *contents[i + 1 :]])
        if other != whole:
            start = common_prefix(whole, other)
            rest = min(len(whole), len(other)) - start
            yield start, len(whole) - min(common_prefix(whole[::-1], other[::-1]), rest), i


def common_prefix(one: Sequence[object], other: Sequence[object]) -> int:
    """How many elements two sequences have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
