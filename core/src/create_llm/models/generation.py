"""Continuing prompts: one or several, as a stream or at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from create_llm.models.engine import Notice, TextModel
from create_llm.models.sampling import Sampling
from create_llm.models.writing import Completion, Prompt, Writing

__all__ = ["Completion", "Notice", "Prompt", "Sampling", "TextBatch", "TextStream", "complete"]

_AT_ONCE = 32
"""Texts that are in memory at one time; the next begins when one of them is over."""


def complete(
    model: TextModel,
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
        self, model: TextModel, prompt: str | Prompt, sampling: Sampling, notice: Notice
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
        self, model: TextModel, prompts: Sequence[Prompt], sampling: Sampling, notice: Notice
    ) -> None:
        """
        Raises:
            ConfigError: the model only reads.
        """
        self._prompts, self._sampling = prompts, sampling
        self._writing = Writing(model, notice, min(len(prompts), _AT_ONCE))
        self._done: dict[int, Completion] = {}

    def __iter__(self) -> Iterator[tuple[int, str]]:
        waiting = iter(range(len(self._prompts)))
        while self._begin(waiting):
            for piece in self._writing.step():
                if piece.completion is not None:
                    self._done[piece.key] = piece.completion
                if piece.text:
                    yield piece.key, piece.text

    def in_order(self) -> Iterator[Iterator[str]]:
        """The pieces of the first text, then those of the second: what comes early waits."""
        made = iter(self)
        waiting: list[list[str]] = [[] for _ in self._prompts]
        return (self._pieces_of(number, made, waiting) for number in range(len(waiting)))

    def results(self) -> list[Completion]:
        """The texts as far as they have come, in the order of the prompts."""
        known = {**self._writing.so_far(), **self._done}
        waiting = [Completion(prompt.text, "", 0, 0.0, "length") for prompt in self._prompts]
        return [known.get(number, text) for number, text in enumerate(waiting)]

    def _pieces_of(
        self, number: int, made: Iterator[tuple[int, str]], waiting: list[list[str]]
    ) -> Iterator[str]:
        yield from waiting[number]
        while number not in self._done and (piece := next(made, None)) is not None:
            if piece[0] == number:
                yield piece[1]
            else:
                waiting[piece[0]].append(piece[1])

    def _begin(self, waiting: Iterator[int]) -> int:
        """Let texts begin while there is room; how many are being written then."""
        while len(self._writing) < _AT_ONCE and (number := next(waiting, None)) is not None:
            self._writing.add(number, self._prompts[number], self._sampling)
        return len(self._writing)
