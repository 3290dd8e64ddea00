"""Texts as they are written: pieces that a person may read, and where each text ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import ConfigError
from create_llm.models.engine import Notice, TextModel
from create_llm.models.sampling import Sampling

_SHOWN = 30
"""Characters of a prompt that a message shows."""
_TAIL = 32
"""Tokens that are decoded again with each new one; those before them once, when there are twice
as many."""
_EDGE = 8
"""Characters by which a tail alone may begin otherwise: a space left out, half a character."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model continues.

    Attributes:
        text: as a person wrote it.
        ids: as the model reads it.
        ends: ids that end the answer, beside those that end any text.
        stop: the answer ends before the first of these strings, too.
    """

    text: str
    ids: tuple[int, ...]
    ends: frozenset[int] = frozenset()
    stop: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str, model: TextModel) -> Prompt:
        """The prompt as it is; an empty one begins a document.

        Raises:
            ConfigError: it is longer than what the model reads at once.
        """
        prompt = cls._encoded(text, model)
        if len(prompt.ids) > model.longest_prompt:
            raise ConfigError(
                f"the prompt has {len(prompt.ids)} tokens, and the model reads "
                f"{model.longest_prompt} at once",
                where=f"the prompt that begins {text[:_SHOWN]!r}",
                fixes=(
                    "shorten the prompt, or give its end only",
                    "train a model that reads more: llm config explain model.max_length",
                ),
            )
        return prompt

    @classmethod
    def end_of(cls, text: str, model: TextModel, notice: Notice) -> Prompt:
        """The prompt, or as much of its end as the model reads at once."""
        prompt, most = cls._encoded(text, model), model.longest_prompt
        if len(prompt.ids) > most:
            notice(
                f"the prompt has {len(prompt.ids)} tokens and the model reads {most}: "
                "only its end is used"
            )
        return cls(text, prompt.ids[-most:])

    @classmethod
    def _encoded(cls, text: str, model: TextModel) -> Prompt:
        ids = model.tokenizer.encode_batch([text])[0]
        return cls(text, tuple(ids or [model.tokenizer.special.eos]))


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished text; `finish_reason` is "eos", "stop" or "length"."""

    prompt: str
    text: str
    tokens: int
    tokens_per_second: float
    finish_reason: str


@dataclass(frozen=True, slots=True)
class Piece:
    """What a step adds to one text.

    Attributes:
        key: of the text.
        text: may be empty: half a character, or what may begin a stop string.
        completion: the whole text, once it is over.
    """

    key: int
    text: str
    completion: Completion | None


class Writing:
    """Texts that a model writes at the same time; they come and go between steps."""

    def __init__(self, model: TextModel, notice: Notice, at_once: int = 1) -> None:
        """
        Args:
            at_once: how many texts to expect at one time.

        Raises:
            ConfigError: the model only reads.
        """
        self._model, self._writer = model, model.writer(notice, at_once)
        self._texts: dict[int, _Text] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, key: int, prompt: Prompt, sampling: Sampling) -> None:
        """Begin a text, which costs one reading of its prompt."""
        text = _Text(prompt, self._model, sampling)
        self._writer.add(key, prompt.ids, sampling)
        self._texts[key] = text

    def drop(self, key: int) -> Completion:
        """Abandon a text; what there is of it."""
        self._writer.drop(key)
        return self._texts.pop(key).completion()

    def step(self) -> list[Piece]:
        """One token more of each text. Those that are over have gone afterwards."""
        return [self._taken(key, token) for key, token in self._writer.step()]

    def so_far(self) -> Mapping[int, Completion]:
        """The texts that are being written, by key."""
        return {key: text.completion() for key, text in self._texts.items()}

    def _taken(self, key: int, token: int | None) -> Piece:
        text = self._texts[key]
        piece = text.take(token)
        if not text.over:
            return Piece(key, piece, None)
        if token is not None:
            self._writer.drop(key)
        return Piece(key, piece, self._texts.pop(key).completion())


class _Decoded:
    """The text of ids as they come. Only its end is decoded again with each.

    Attributes:
        before: characters in front of that end.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.before = 0
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._skip, self._next = 0, 2 * _TAIL

    def add(self, token: int, told: int) -> str:
        """The end of the text with one token more; `told` characters of the text are final."""
        if len(self._ids) >= self._next:
            self._shorten(told)
        self._ids.append(token)
        return self.text()

    def text(self) -> str:
        return self._tokenizer.decode(self._ids)[self._skip :]

    def _shorten(self, told: int) -> None:
        """Go on with the last ids, where alone they mean what they mean behind the others."""
        self._next = len(self._ids) + _TAIL
        whole, ids = self.text(), self._ids[-_TAIL:]
        tail = self._tokenizer.decode(ids)
        same = _common_end(whole, tail)
        cut, skip = len(whole) - same, len(tail) - same
        # Bytes that spell one character after the other may mean nothing when cut: an ASCII
        # character shows that there is an end of them.
        if skip > _EDGE or self.before + cut > told or not any(map(str.isascii, tail[skip:])):
            return
        self._ids, self._skip, self._next = ids, skip, 2 * _TAIL
        self.before += cut


def _common_end(one: str, other: str) -> int:
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


class _Text:
    """One text as its tokens come."""

    def __init__(self, prompt: Prompt, model: TextModel, sampling: Sampling) -> None:
        self.prompt, self.started, self.over = prompt, time.perf_counter(), False
        self._most, self._stop = sampling.max_new_tokens, (*sampling.stop, *prompt.stop)
        self._ends = model.stop_tokens | prompt.ends
        self._decoded = _Decoded(model.tokenizer)
        self._told: list[str] = []
        self._length, self._reason = 0, "length"
        self._tokens, self._seconds = 0, 0.0

    def take(self, token: int | None) -> str:
        """What the next token adds; None if there is none, which ends the text."""
        if token is None:
            return self._close()
        self._tokens += 1
        self._seconds = time.perf_counter() - self.started
        if token in self._ends:
            self._reason = "eos"
            return self._close()
        text = self._decoded.add(token, self._length)
        # None begins in what was told: that would have been held back.
        found = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        if found:
            self._reason, self.over = "stop", True
            return self._tell(text[: min(found)])
        if self._tokens == self._most:
            return self._close()
        return self._tell(text[: len(text) - self._held_back(text)])

    def completion(self) -> Completion:
        speed = self._tokens / self._seconds if self._seconds else 0.0
        told = "".join(self._told)
        return Completion(self.prompt.text, told, self._tokens, speed, self._reason)

    def _close(self) -> str:
        """What was held back, as no more is to come."""
        self.over = True
        return self._tell(self._decoded.text())

    def _tell(self, text: str) -> str:
        """What is new in the text, which is final."""
        piece = text[self._length - self._decoded.before :]
        self._length += len(piece)
        self._told.append(piece)
        return piece

    def _held_back(self, text: str) -> int:
        """Characters at the end that a later token may still change or that may begin a stop."""
        # A character cut between two tokens decodes as U+FFFD until its rest arrives.
        unfinished = len(text) - len(text.rstrip("\ufffd"))
        begun = max(
            (
                size
                for stop in self._stop
                for size in range(1, len(stop))
                if text.endswith(stop[:size])
            ),
            default=0,
        )
        return max(unfinished, begun)
