"""Texts written by llama.cpp, a token of each at a step."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Mapping, Sequence
from queue import SimpleQueue

from create_llm.errors import CreateLLMError
from create_llm.models.engine import Notice
from create_llm.models.sampling import Sampling
from create_llm_llamacpp.server import Chunk, LlamaServer

_SEEDS = 2**32 - 1
"""llama.cpp has that many; the one behind them asks it to draw one itself."""


class LlamaError(CreateLLMError):
    """llama.cpp gave up on a text."""


class LlamaWriter:
    """Asks the server for each text, in a thread of its own that passes the tokens on.

    The server writes ahead of the steps; texts beyond its slots wait until one is over.
    """

    def __init__(self, server: LlamaServer, context: int, notice: Notice) -> None:
        self._server, self._context, self._notice = server, context, notice
        self._texts: dict[int, _Text] = {}
        self._told = False
        weakref.finalize(self, _abandon, self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, key: int, ids: Sequence[int], sampling: Sampling) -> None:
        text = _Text(ids, sampling, self._context)
        text.ask(self._server)
        self._texts[key] = text

    def drop(self, key: int) -> None:
        self._texts.pop(key).answer.dropped = True

    def step(self) -> list[tuple[int, int | None]]:
        """
        Raises:
            LlamaError: the server gave an error in place of a token.
        """
        given = [(key, self._next(text)) for key, text in self._texts.items()]
        for key, token in given:
            if token is None:
                self.drop(key)
        return given

    def _next(self, text: _Text) -> int | None:
        token = text.answer.next()
        if token is None and text.remaining:
            if not self._told:
                self._notice(
                    f"past {self._context} tokens the model forgets the beginning of the text"
                )
                self._told = True
            text.slide()
            text.ask(self._server)
            token = text.answer.next()
        if token is not None:
            text.take(token)
        return token


class _Answer:
    """Tokens that have come and were not taken yet; the end is None."""

    def __init__(self) -> None:
        self.dropped = False
        self._queue: SimpleQueue[int | str | None] = SimpleQueue()

    def next(self) -> int | None:
        """
        Raises:
            LlamaError: an error came in its place.
        """
        item = self._queue.get()
        if isinstance(item, str):
            raise LlamaError(f"llama.cpp cannot go on: {item}", fixes=("use --engine torch",))
        return item

    def fill(self, server: LlamaServer, request: Chunk) -> None:
        """Ask, and pass on what comes, until it is over or dropped."""
        try:
            server.complete(request, self._take)
        except Exception as error:  # whoever waits for a token has to hear of it
            self._queue.put(f"{type(error).__name__}: {error}")
        self._queue.put(None)

    def _take(self, chunk: Chunk) -> bool:
        if "error" in chunk:
            self._queue.put(str(chunk["error"].get("message", chunk["error"])))
            return True
        spelt = chunk["choices"][0]["text"]
        if spelt:  # none in the last, which says how it ended
            self._queue.put(int(spelt))
        return self.dropped


class _Text:
    """One text, and what was asked of it."""

    def __init__(self, ids: Sequence[int], sampling: Sampling, context: int) -> None:
        self.remaining = sampling.max_new_tokens
        self.answer = _Answer()
        self._ids, self._begin = list(ids), 0
        self._settings = _settings(sampling, context)
        seed = secrets.randbelow(_SEEDS) if sampling.seed is None else sampling.seed
        self._seed, self._context = seed, context

    def ask(self, server: LlamaServer) -> None:
        """Ask for as much as the context has room for behind what is read; the last token of that
        is not read."""
        read = self._ids[self._begin :]
        room = min(self.remaining, self._context - len(read) + 1)
        own = {"prompt": read, "n_predict": room, "seed": (self._seed + self._begin) % _SEEDS}
        arguments = (server, {**own, **self._settings})
        # Not a daemon: the interpreter must not end while llama.cpp calls back into it.
        threading.Thread(target=self.answer.fill, args=arguments).start()

    def take(self, token: int) -> None:
        self._ids.append(token)
        self.remaining -= 1

    def slide(self) -> None:
        """Go on from the second half of what the model can read, as the torch engine does."""
        self._begin = len(self._ids) - max(self._context // 2, 1)
        self.answer = _Answer()


def _settings(sampling: Sampling, context: int) -> Mapping[str, object]:
    """In llama.cpp's words, and in the order that `Sampling` says."""
    penalty = {"repeat_penalty": sampling.repetition_penalty, "repeat_last_n": context + 1}
    first = ["penalties"] if sampling.repetition_penalty != 1 else []
    if sampling.temperature == 0:
        return {**penalty, "samplers": [*first, "top_k"], "top_k": 1}
    return {
        **penalty,
        "samplers": [*first, "temperature", "top_k", "top_p", "min_p"],
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
    }


def _abandon(texts: dict[int, _Text]) -> None:
    """Nobody waits for these any more."""
    for text in texts.values():
        text.answer.dropped = True
