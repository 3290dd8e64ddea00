"""Answers as OpenAI's API gives them: whole, or as server-sent events."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from create_llm.models.writing import Completion, Piece
from create_llm_serve.problems import ApiError
from create_llm_serve.worker import Job

Json = Mapping[str, object]

_REASONS = {"eos": "stop", "stop": "stop", "length": "length"}


class Form(Protocol):
    """How one kind of endpoint words its answers.

    Attributes:
        prefix: of the ids of its answers.
        whole, part: the `object` of an answer, and of an event of a stream.
    """

    @property
    def prefix(self) -> str: ...

    @property
    def whole(self) -> str: ...

    @property
    def part(self) -> str: ...

    def choice(self, text: str, prompt: str) -> Json:
        """A text, without its index and why it ended."""
        ...

    def opening(self, prompt: str) -> Json | None:
        """What a stream says of a text before it begins."""
        ...

    def addition(self, text: str) -> Json:
        """A piece of a text, or the end of one, which adds nothing."""
        ...


@dataclass(frozen=True, slots=True)
class TextForm:
    """Of /v1/completions; with `echo` the prompt is part of the text."""

    echo: bool = False
    prefix: str = "cmpl"
    whole: str = "text_completion"
    part: str = "text_completion"

    def choice(self, text: str, prompt: str) -> Json:
        return self.addition(prompt + text if self.echo else text)

    def opening(self, prompt: str) -> Json | None:
        return self.addition(prompt) if self.echo else None

    def addition(self, text: str) -> Json:
        return {"text": text, "logprobs": None}


@dataclass(frozen=True, slots=True)
class ChatForm:
    """Of /v1/chat/completions."""

    prefix: str = "chatcmpl"
    whole: str = "chat.completion"
    part: str = "chat.completion.chunk"

    def choice(self, text: str, prompt: str) -> Json:
        message = {"role": "assistant", "content": text, "refusal": None}
        return {"message": message, "logprobs": None}

    def opening(self, prompt: str) -> Json | None:
        return {"delta": {"role": "assistant", "content": ""}, "logprobs": None}

    def addition(self, text: str) -> Json:
        return {"delta": {"content": text} if text else {}, "logprobs": None}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request.

    Attributes:
        usage_in_stream: whether a stream ends with what it used.
    """

    form: Form
    model: str
    usage_in_stream: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    async def whole(self, job: Job, pieces: AsyncIterator[Piece]) -> Json:
        """The answer, when all texts are there."""
        texts = [""] * len(job.texts)
        ends: dict[int, Completion] = {}
        async for piece in pieces:
            texts[piece.key] += piece.text
            if piece.completion is not None:
                ends[piece.key] = piece.completion
        choices = [
            self._choice(i, self.form.choice(text, job.texts[i][0].text), ends[i])
            for i, text in enumerate(texts)
        ]
        return {**self._head(self.form.whole), "choices": choices, "usage": _usage(job, ends)}

    async def events(self, job: Job, pieces: AsyncIterator[Piece]) -> AsyncIterator[bytes]:
        """The answer as it comes; an error ends it."""
        for i, (prompt, _) in enumerate(job.texts):
            opening = self.form.opening(prompt.text)
            if opening is not None:
                yield self._event([self._choice(i, opening)])
        ends: dict[int, Completion] = {}
        try:
            async for piece in pieces:
                for choice in self._choices_of(piece):
                    yield self._event([choice])
                if piece.completion is not None:
                    ends[piece.key] = piece.completion
        except ApiError as error:
            yield _event(error.body())
            return
        if self.usage_in_stream:
            yield self._event([], _usage(job, ends))
        yield b"data: [DONE]\n\n"

    def _choices_of(self, piece: Piece) -> list[Json]:
        made = [self._choice(piece.key, self.form.addition(piece.text))] if piece.text else []
        if piece.completion is not None:
            made.append(self._choice(piece.key, self.form.addition(""), piece.completion))
        return made

    def _choice(self, index: int, said: Json, end: Completion | None = None) -> Json:
        reason = None if end is None else _REASONS[end.finish_reason]
        return {"index": index, **said, "finish_reason": reason}

    def _event(self, choices: Sequence[Json], usage: Json | None = None) -> bytes:
        # Where it is asked for, all events have the key, and the last one a value.
        used = {"usage": usage} if self.usage_in_stream else {}
        return _event({**self._head(self.form.part), "choices": choices, **used})

    def _head(self, kind: str) -> Json:
        return {
            "id": f"{self.form.prefix}-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
        }


async def without_space_in_front(pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    """A turn begins with its first word; what is between it and the header is the template's."""
    begun: set[int] = set()
    async for piece in pieces:
        if piece.key not in begun:
            piece = replace(piece, text=piece.text.lstrip())
            if piece.text:
                begun.add(piece.key)
        yield piece


def _usage(job: Job, ends: Mapping[int, Completion]) -> Json:
    """Tokens; a prompt counts once, however many texts go on from it."""
    read = sum(len(prompt.ids) for prompt in {id(p): p for p, _ in job.texts}.values())
    written = sum(end.tokens for end in ends.values())
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def _event(data: Json) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
