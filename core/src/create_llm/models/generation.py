"""Continuing prompts: text that grows as it is made, and where it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import ConfigError
from create_llm.models.decoding import Decoding, Notice
from create_llm.models.loaded import LoadedModel
from create_llm.models.sampling import Sampling

__all__ = ["Completion", "Notice", "Prompt", "Sampling", "TextBatch", "TextStream", "complete"]

_AT_ONCE = 32
"""Texts that are in memory at one time; the next begins when one of them is over."""
_SHOWN = 30
"""Characters of a prompt that a message shows."""


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
    def of(cls, text: str, model: LoadedModel) -> Prompt:
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
    def end_of(cls, text: str, model: LoadedModel, notice: Notice) -> Prompt:
        """The prompt, or as much of its end as the model reads at once."""
        prompt, most = cls._encoded(text, model), model.longest_prompt
        if len(prompt.ids) > most:
            notice(
                f"the prompt has {len(prompt.ids)} tokens and the model reads {most}: "
                "only its end is used"
            )
        return cls(text, prompt.ids[-most:])

    @classmethod
    def _encoded(cls, text: str, model: LoadedModel) -> Prompt:
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


def complete(
    model: LoadedModel,
    prompt: str,
    sampling: Sampling,
    notice: Notice = lambda text: None,
    between: Callable[[], None] = lambda: None,
) -> Completion:
    """The whole continuation of a prompt, of whose end the model reads as much as it can.

    Args:
        notice: hears what a person should know.
        between: called after each piece; may raise to abandon the text.
    """
    stream = TextStream(model, Prompt.end_of(prompt, model, notice), sampling, notice)
    for _ in stream:
        between()
    return stream.result()


class TextStream:
    """Iterate to receive the text piece by piece; `result()` afterwards is the whole of it."""

    def __init__(
        self, model: LoadedModel, prompt: str | Prompt, sampling: Sampling, notice: Notice
    ) -> None:
        """
        Raises:
            ConfigError: the prompt is longer than what the model reads, or the model only reads.
        """
        if isinstance(prompt, str):
            prompt = Prompt.of(prompt, model)
        self._batch = TextBatch(model, [prompt], sampling, notice)

    def __iter__(self) -> Iterator[str]:
        return (piece for _, piece in self._batch)

    def result(self) -> Completion:
        """The text as far as it has come."""
        return self._batch.results()[0]


class TextBatch:
    """Continues several prompts at once, each as if it were alone.

    Iterate to receive (number of the prompt, piece of its text) in the order that pieces are
    made; `results()` afterwards are all texts.
    """

    def __init__(
        self, model: LoadedModel, prompts: Sequence[Prompt], sampling: Sampling, notice: Notice
    ) -> None:
        """
        Raises:
            ConfigError: the model only reads.
        """
        self._sampling = sampling
        self._texts = [_Text(prompt, model, sampling) for prompt in prompts]
        self._decoding = Decoding(model, notice)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        waiting = iter(range(len(self._texts)))
        while self._begin(waiting):
            for number, token in self._decoding.step():
                text = self._texts[number]
                piece = text.take(token)
                if text.over and token is not None:
                    self._decoding.drop(number)
                if piece:
                    yield number, piece

    def in_order(self) -> Iterator[Iterator[str]]:
        """The pieces of the first text, then those of the second: what comes early waits."""
        made = iter(self)
        waiting: list[list[str]] = [[] for _ in self._texts]
        return (self._pieces_of(number, made, waiting) for number in range(len(waiting)))

    def results(self) -> list[Completion]:
        """The texts as far as they have come, in the order of the prompts."""
        return [text.completion() for text in self._texts]

    def _pieces_of(
        self, number: int, made: Iterator[tuple[int, str]], waiting: list[list[str]]
    ) -> Iterator[str]:
        yield from waiting[number]
        while not self._texts[number].over and (piece := next(made, None)) is not None:
            if piece[0] == number:
                yield piece[1]
            else:
                waiting[piece[0]].append(piece[1])

    def _begin(self, waiting: Iterator[int]) -> int:
        """Let texts begin while there is room; how many are being written then."""
        while len(self._decoding) < _AT_ONCE and (number := next(waiting, None)) is not None:
            text = self._texts[number]
            text.started = time.perf_counter()
            self._decoding.add(number, text.prompt.ids, self._sampling)
        return len(self._decoding)


class _Text:
    """One text as its tokens come."""

    def __init__(self, prompt: Prompt, model: LoadedModel, sampling: Sampling) -> None:
        self.prompt, self.started, self.over = prompt, 0.0, False
        self._tokenizer: Tokenizer = model.tokenizer
        self._most, self._stop = sampling.max_new_tokens, (*sampling.stop, *prompt.stop)
        self._ends = {model.tokenizer.special.eos, *model.objective.stop_tokens, *prompt.ends}
        self._ids: list[int] = []
        self._told, self._reason = "", "length"
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
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids)
        found = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        if found:
            self._reason, self.over = "stop", True
            return self._tell(text[: min(found)])
        if self._tokens == self._most:
            return self._close()
        return self._tell(text[: len(text) - self._held_back(text)])

    def completion(self) -> Completion:
        speed = self._tokens / self._seconds if self._seconds else 0.0
        return Completion(self.prompt.text, self._told, self._tokens, speed, self._reason)

    def _close(self) -> str:
        """What was held back, as no more is to come."""
        self.over = True
        return self._tell(self._tokenizer.decode(self._ids))

    def _tell(self, text: str) -> str:
        """What is new in the text, which is final."""
        piece = text[len(self._told) :]
        self._told += piece
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
