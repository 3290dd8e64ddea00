"""The synthesizers `openai` and `groq`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from create_llm.credentials import Secret, credential
from create_llm.data.documents import Document, Origin, Rejected
from create_llm.data.synthesis.asking import (
    Answer,
    AskingSynthesizer,
    Request,
    Usage,
    question_and_answer,
)
from create_llm.errors import CredentialsError
from create_llm_openai.config import ServiceConfig
from create_llm_openai.pairs import messages_of, pairs_in

if TYPE_CHECKING:
    from create_llm_openai.client import Client
    from create_llm_openai.reply import Reply

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_PAIR = 80
"""In and out, of English; what a model thinks before it answers comes on top."""


class OpenAISynthesizer(AskingSynthesizer):
    """Questions and answers from one service; the client is loaded when it is first asked."""

    help: ClassVar[str] = "https://platform.openai.com/api-keys"

    def __init__(self, config: ServiceConfig) -> None:
        self._config = config
        self.at_once = config.pairs_per_request
        self.service = urlsplit(config.base_url).netloc

    def check(self) -> str:
        self._client.see()
        return f"{self._config.base_url}, model {self._config.model}"

    def estimate(self, request: Request) -> Usage:
        prompt = sum(len(message["content"]) for message in messages_of(request))
        return self._usage(prompt // _CHARACTERS_PER_TOKEN, request.samples * _TOKENS_PER_PAIR)

    def ask(self, request: Request) -> Answer:
        from create_llm_openai.client import Refused

        origin = Origin(self._config.base_url, request.number + 1)
        try:
            reply = self._client.ask(messages_of(request))
        except Refused as error:
            problem = f"the service refuses the request: {error}"
            return Answer((), (Rejected(origin, problem, "see what the service says of it"),))
        return self._answer(reply, origin)

    def _answer(self, reply: Reply, origin: Origin) -> Answer:
        documents: list[Document] = []
        rejected: list[Rejected] = []
        for found in pairs_in(reply.text, origin):
            if not isinstance(found, Rejected):
                model = reply.model or self._config.model
                pair = question_and_answer(*found, origin.path, origin.line, model=model)
                documents.append(pair)
            elif reply.cut_off:
                fewer = "ask for fewer at once: pairs_per_request"
                rejected.append(Rejected(origin, "the reply was cut off", fewer))
            else:
                rejected.append(found)
        usage = self._usage(reply.input_tokens, reply.output_tokens)
        return Answer(tuple(documents), tuple(rejected), usage)

    def _usage(self, tokens_in: int, tokens_out: int) -> Usage:
        prices = self._config.input_price, self._config.output_price
        if prices == (None, None):
            return Usage(tokens_in, tokens_out)
        cost = tokens_in * (prices[0] or 0) + tokens_out * (prices[1] or 0)
        return Usage(tokens_in, tokens_out, cost / 1_000_000)

    @cached_property
    def _client(self) -> Client:
        from create_llm_openai.client import Client

        return Client(self.service, self._config, self._secret(), self.help)

    def _secret(self) -> Secret | None:
        if not self._config.api_key_env:
            return None
        if self._config.in_the_clear:
            raise CredentialsError(
                "the key would be sent unprotected, for everybody on the way to read",
                where=self._config.base_url,
                fixes=("use the service's https address", 'or send no key: api_key_env = ""'),
            )
        return credential(self.service, env=self._config.api_key_env, help=self.help)


class GroqSynthesizer(OpenAISynthesizer):
    help: ClassVar[str] = "https://console.groq.com/keys"
