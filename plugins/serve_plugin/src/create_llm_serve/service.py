"""The model that a server answers with, and the work that it does on requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from create_llm.api import Model, sampling_of
from create_llm.errors import ConfigError
from create_llm.models.conversation import form_of
from create_llm.models.engine import Notice
from create_llm.models.generation import Prompt, Sampling
from create_llm_serve.limits import Limits
from create_llm_serve.problems import TOO_LONG, ApiError
from create_llm_serve.requests import ChatRequest, CompletionRequest, Request
from create_llm_serve.worker import Job, Text, Worker

T = TypeVar("T")


class Service:
    """One opened model."""

    def __init__(self, model: Model, limits: Limits, notice: Notice) -> None:
        """
        Raises:
            ConfigError: the model only reads, or its tokenizer does not fit its chat template.
        """
        self.name, self.created, self.limits = model.bundle.name, int(time.time()), limits
        self.worker = Worker(model.text_model, limits.batch_size, _once(notice))
        self._model = model.text_model
        self._form = form_of(self._model)
        self._defaults = sampling_of(model.bundle)
        self._jobs: set[Job] = set()
        self._ended: ApiError | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ready for requests inside."""
        self.worker.start()
        # One thread, for nothing says of a tokenizer that it takes several.
        self._reader = ThreadPoolExecutor(1, "reading")
        try:
            yield
        finally:
            await asyncio.to_thread(self.worker.close)
            self._reader.shutdown(wait=False, cancel_futures=True)

    async def completion(self, asked: CompletionRequest) -> list[Text]:
        """The texts to write.

        Raises:
            ApiError, ConfigError: the request is not one that can be answered.
        """
        samplings = self._samplings(asked, len(asked.prompts))
        prompts = await self._in_reader(lambda: [self._prompt(text) for text in asked.prompts])
        return [(prompt, sampling) for prompt in prompts for sampling in samplings]

    async def chat(self, asked: ChatRequest) -> list[Text]:
        """The texts to write.

        Raises:
            ApiError, ConfigError, DataError: the request is not one that can be answered.
        """
        samplings = self._samplings(asked, 1)
        messages = [said.message() for said in asked.messages]
        if len(messages) > self._model.longest_prompt:
            raise self._too_long(f"{len(messages)} messages")  # each takes a token at least
        prompt = await self._in_reader(lambda: self._form.prompt(messages))
        if len(prompt.ids) > self._model.longest_prompt:
            raise self._too_long(f"{len(prompt.ids)} tokens")
        return [(prompt, sampling) for sampling in samplings]

    @contextmanager
    def job(self, texts: Sequence[Text]) -> Iterator[Job]:
        """Have the texts written, for as long as a request may take."""
        late = ApiError(
            504,
            f"the request took longer than {self.limits.seconds:g} seconds",
            code="timeout",
            headers={"x-should-retry": "false"},  # OpenAI's client would ask for it all again
        )
        if self._ended is not None:
            raise self._ended
        with self.worker.job(texts) as job:
            timer = asyncio.get_running_loop().call_later(self.limits.seconds, job.receive, late)
            self._jobs.add(job)
            try:
                yield job
            finally:
                self._jobs.remove(job)
                timer.cancel()

    def cut_off(self) -> int:
        """End all requests with an error; how many there were. On the loop's thread."""
        self._ended = ApiError(
            503,
            "the server was asked to end before the answer was complete",
            code="server_shutdown",
        )
        for job in self._jobs:
            job.receive(self._ended)
        return len(self._jobs)

    def _samplings(self, asked: Request, prompts: int) -> list[Sampling]:
        if asked.model not in (None, self.name):
            raise ApiError(
                404,
                f"there is no model '{asked.model}' here, only '{self.name}'",
                code="model_not_found",
                param="model",
            )
        if prompts * asked.n > self.limits.texts:
            raise ApiError(
                400, f"a request may ask for {self.limits.texts} texts at most", param="n"
            )
        return asked.samplings(self._defaults)

    def _prompt(self, text: str) -> Prompt:
        try:
            return Prompt.of(text, self._model)
        except ConfigError as error:
            raise ApiError(400, error.what, code=TOO_LONG, param="prompt") from error

    def _too_long(self, size: str) -> ApiError:
        most = self._model.longest_prompt
        return ApiError(
            400,
            f"the conversation has {size}, and the model reads {most} tokens at once",
            code=TOO_LONG,
            param="messages",
        )

    async def _in_reader(self, work: Callable[[], T]) -> T:
        """Off the loop's thread: a long prompt would make every stream stutter."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, work)


def _once(notice: Notice) -> Notice:
    """Says the same only once, however many requests it concerns."""
    told: set[str] = set()

    def say(text: str) -> None:
        if text not in told:
            told.add(text)
            notice(text)

    return say
