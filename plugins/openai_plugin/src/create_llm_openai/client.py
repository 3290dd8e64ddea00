"""OpenAI's client, with errors in plain words and patience of our own.

The client's own retries are off: they do not wait as long as a service asks them to. It follows no
redirect: the key is for one host. Its own errors are never the cause of ours: a service may quote
the key in its answer, and a stack trace would show that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar, cast

import openai
from openai.types.chat import ChatCompletionMessageParam

from create_llm.credentials import Secret, refused
from create_llm.errors import (
    ConfigError,
    CreateLLMError,
    CredentialsError,
    NetworkError,
    did_you_mean,
)
from create_llm.responses import one_line
from create_llm.retries import AGAIN, Patience, Transient, patiently, retry_after
from create_llm_openai.config import ServiceConfig
from create_llm_openai.connection import Connection
from create_llm_openai.reply import Reply, reply_in

T = TypeVar("T")
_SAID = 200
"""Characters of what a service says that are shown."""
_NO_KEY = "none"  # the client insists on one
_NOBODY_ELSE_S = cast(
    Mapping[str, str],
    dict.fromkeys(("OpenAI-Organization", "OpenAI-Project"), openai.Omit()),
)
"""What the environment says of accounts at OpenAI itself is no business of other services."""


class Refused(Exception):
    """The service does not take this one request; another one may pass."""


class Client:
    """One service.

    Args:
        name: as messages call it.
        secret: None where it wants none.
        help: where a person gets a key.
    """

    def __init__(self, name: str, config: ServiceConfig, secret: Secret | None, help: str) -> None:
        self._name, self._config, self._secret, self._help = name, config, secret, help
        self._client = openai.OpenAI(
            api_key=secret.reveal() if secret else _NO_KEY,
            base_url=config.base_url,
            default_headers=_NOBODY_ELSE_S,
            timeout=config.timeout,
            max_retries=0,
            http_client=Connection(name, config),
        )

    def see(self) -> None:
        """One call that costs nothing: the list of models; services without one pass.

        Raises:
            CredentialsError, NetworkError: the key is refused, or nobody answers.
        """
        try:
            self._patiently(self._models, Patience(attempts=3))
        except openai.APIStatusError as error:
            # A key may be allowed to ask a model and not to list them.
            if error.status_code not in (403, 404, 405, 501):
                raise self._in_words(error) from None

    def ask(self, messages: Iterable[dict[str, str]]) -> Reply:
        """A model's reply.

        Raises:
            Refused: of this request alone.
            CredentialsError, NetworkError, ConfigError: of the key, the service, the model.
        """
        wanted = cast(list[ChatCompletionMessageParam], list(messages))

        def complete() -> bytes:
            # Not parsed by the client, which checks nothing and fails on what is no completion.
            return self._client.chat.completions.with_raw_response.create(
                model=self._config.model,
                messages=wanted,
                temperature=openai.omit
                if self._config.temperature is None
                else self._config.temperature,
                response_format={"type": "json_object"} if self._config.json_mode else openai.omit,
            ).content

        try:
            return self._reply(self._patiently(complete, None))
        except openai.APIStatusError as error:
            if error.status_code in (400, 413, 422):
                raise Refused(self._said(error)) from None
            raise self._in_words(error) from None

    def _patiently(self, call: Callable[[], T], patience: Patience | None) -> T:
        patience = patience or Patience(asked=self._config.longest_wait)
        return patiently(self._name, lambda: self._attempt(call), patience)

    def _attempt(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except openai.APITimeoutError as error:
            raise Transient(f"it said nothing for {self._config.timeout:g} s") from error
        except openai.APIConnectionError as error:
            raise Transient("the connection failed") from error
        except openai.APIStatusError as error:
            if error.status_code in AGAIN and error.code != "insufficient_quota":
                wait = retry_after(error.response.headers.get("retry-after"))
                raise Transient(self._said(error), wait) from None
            raise

    def _reply(self, body: bytes) -> Reply:
        reply = reply_in(body, self._hidden)
        if reply is None:
            raise NetworkError(
                f"{self._name} answers with something that is no chat completion",
                where=self._config.base_url,
                fixes=("check base_url: most services have a /v1 at its end",),
            )
        return reply

    def _in_words(self, error: openai.APIStatusError) -> CreateLLMError:
        status, said = error.status_code, self._said(error)
        if status in (401, 403):
            return self._refusal(said)
        if status == 404:
            return self._no_model(said)
        return NetworkError(
            f"{self._name}: {said}",
            where=self._config.base_url,
            fixes=("see your account there: credit, limits", "run the same command again later"),
        )

    def _models(self) -> list[str]:
        """The names of the models, as far as the service lists any."""
        # Not parsed by the client, which expects its own form of a list and fails on another.
        text = self._client.models.with_raw_response.list().text
        try:
            listed = json.loads(text)["data"]
            return [self._hidden(one_line(str(model["id"])), _SAID) for model in listed]
        except (ValueError, TypeError, KeyError, RecursionError):
            return []

    def _refusal(self, said: str) -> CredentialsError:
        if self._secret is not None:
            return refused(self._name, self._secret, self._help, why=said)
        return CredentialsError(
            f"{self._name} wants a key: {said}",
            where=self._config.base_url,
            fixes=("name the variable that holds it: --set synth.openai.api_key_env=…",),
        )

    def _no_model(self, said: str) -> ConfigError:
        try:
            names = self._models()
        except openai.OpenAIError:
            names = []
        listed = (f"it has: {', '.join(sorted(names)[:20])}",) if names else ()
        return ConfigError(
            f"{self._name}: {said}",
            where=f"{self._config.base_url}, model '{self._config.model}'",
            fixes=(*did_you_mean(self._config.model, names), *listed, "check base_url and model"),
        )

    def _said(self, error: openai.APIStatusError) -> str:
        """Status and message of the service, without the key should it quote that."""
        body = error.body if isinstance(error.body, dict) else {}
        message = one_line(str(body.get("message") or ""))
        return self._hidden(f"{error.status_code} {message}".strip(), _SAID)

    def _hidden(self, text: str, limit: int | None = None) -> str:
        return self._secret.hide(text, limit) if self._secret else text[:limit]
