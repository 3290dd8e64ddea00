"""One thread that writes the texts of all requests at the same time.

Between two steps texts come and go: a request never waits for another's end, only for room.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from queue import SimpleQueue
from threading import Thread

from create_llm.models.engine import Notice, TextModel
from create_llm.models.generation import Prompt, Sampling
from create_llm.models.writing import Piece, Writing
from create_llm_serve.problems import ApiError, problem_of

Text = tuple[Prompt, Sampling]

_READING_SECONDS = 0.1
"""Reading prompts makes the texts at hand wait: after this long they get their next token."""

_UNREAD = 1024
"""Pieces for each text of a job that may wait for a client that does not read."""

_log = logging.getLogger(__name__)


class Job:
    """The texts of one request."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self.texts = texts
        self.to_begin = deque(range(len(texts)))
        self._arrived: asyncio.Queue[Piece | ApiError] = asyncio.Queue()

    @property
    def unread(self) -> bool:
        """Whether more waits than a client may leave. From any thread."""
        return self._arrived.qsize() > _UNREAD * len(self.texts)

    async def pieces(self) -> AsyncIterator[Piece]:
        """What is written, as it comes, until all texts are over; keys are places in `texts`.

        Raises:
            ApiError: that is all there will be.
        """
        left = len(self.texts)
        while left:
            arrived = await self._arrived.get()
            if isinstance(arrived, ApiError):
                raise arrived
            left -= arrived.completion is not None
            yield arrived

    def receive(self, arrived: Piece | ApiError) -> None:
        """On the loop's thread."""
        self._arrived.put_nowait(arrived)


class Worker:
    """Takes jobs from an event loop, and brings it their pieces."""

    def __init__(self, model: TextModel, batch_size: int, notice: Notice) -> None:
        """
        Raises:
            ConfigError: the model only reads.
        """
        self._model, self._batch_size, self._notice = model, batch_size, notice
        self._writing = Writing(model, notice, batch_size)
        self._running: dict[int, tuple[Job, int]] = {}
        self._waiting: deque[Job] = deque()
        self._next_key = 0
        self._closing = False
        # The thread alone touches what is above: others send it what to do.
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread = Thread(target=self._run, name="writing", daemon=True)
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Begin to work for the loop that runs in this thread."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """Leave what is unfinished; returns when the thread has ended."""
        self._calls.put(self._close)
        self._thread.join()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def running(self) -> int:
        """Texts that are being written."""
        return len(self._running)

    @contextmanager
    def job(self, texts: Sequence[Text]) -> Iterator[Job]:
        """Have texts written; what is unfinished in the end is left."""
        job = Job(texts)
        self._calls.put(lambda: self._waiting.append(job))
        try:
            yield job
        finally:
            self._calls.put(lambda: self._leave(job))

    def _run(self) -> None:
        while not self._closing:
            self._obey()
            try:
                self._begin()
                self._deliver(self._writing.step())
            except Exception as error:
                self._fail(error)

    def _obey(self) -> None:
        """Do what others ask for; where there is nothing to write, wait for that."""
        while not self._calls.empty() or not (self._running or self._waiting or self._closing):
            self._calls.get()()

    def _begin(self) -> None:
        """Let texts begin while there is room, of each job in turn."""
        until = time.monotonic() + _READING_SECONDS
        while self._waiting and len(self._running) < self._batch_size:
            job = self._waiting.popleft()
            self._begin_text(job, job.to_begin.popleft())
            if job.to_begin:
                self._waiting.append(job)
            if time.monotonic() > until:
                return

    def _begin_text(self, job: Job, place: int) -> None:
        self._next_key += 1
        try:
            self._writing.add(self._next_key, *job.texts[place])
        except Exception as error:
            _log_unexpected(error)
            job.to_begin.clear()
            self._leave(job)
            self._tell([(job, problem_of(error))])
        else:
            self._running[self._next_key] = job, place

    def _deliver(self, pieces: Sequence[Piece]) -> None:
        arrived: list[tuple[Job, Piece | ApiError]] = []
        for piece in pieces:
            job, place = self._running[piece.key]
            if piece.completion is not None:
                del self._running[piece.key]
            if piece.text or piece.completion is not None:
                arrived.append((job, replace(piece, key=place)))
        self._tell(arrived)
        for job in dict.fromkeys(job for job, _ in arrived):
            if job.unread:
                self._give_up(job)

    def _give_up(self, job: Job) -> None:
        """Who does not read gets no more: what waits would fill the memory."""
        job.to_begin.clear()
        self._leave(job)
        slow = "the client did not read what was written for it"
        self._tell([(job, ApiError(408, slow, code="client_too_slow"))])

    def _fail(self, error: Exception) -> None:
        """The texts at hand are lost; the next begin anew."""
        _log_unexpected(error)
        jobs = dict.fromkeys(job for job, _ in self._running.values())
        self._running.clear()
        self._writing = Writing(self._model, self._notice, self._batch_size)
        for job in jobs:
            self._leave(job)
        self._tell([(job, problem_of(error)) for job in jobs])

    def _leave(self, job: Job) -> None:
        for key in [key for key, (whose, _) in self._running.items() if whose is job]:
            del self._running[key]
            self._writing.drop(key)
        if job in self._waiting:
            self._waiting.remove(job)

    def _close(self) -> None:
        self._closing = True

    def _tell(self, arrived: Sequence[tuple[Job, Piece | ApiError]]) -> None:
        """Wake the loop once for all of a step."""
        if arrived:
            self._loop.call_soon_threadsafe(_hand_over, arrived)


def _hand_over(arrived: Sequence[tuple[Job, Piece | ApiError]]) -> None:
    for job, what in arrived:
        job.receive(what)


def _log_unexpected(error: Exception) -> None:
    if problem_of(error).status >= 500:
        _log.error("writing failed", exc_info=error)
