"""OpenAI's client, with errors in plain words and patience of our own.

The client's own retries are off: they do not wait as long as a service asks them to. It follows no
redirect: the key is for one host. Its own errors are never the cause of ours: a service may quote
the key in its answer, and a stack trace would show that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from create_llm.credentials import Secret, refused
from create_llm.errors import (
    ConfigError,
    CreateLLMError,
    CredentialsError,
    NetworkError,
    did_you_mean,
)
from create_llm.retries import AGAIN, Patience, Transient, patiently, retry_after
from create_llm_openai.config import ServiceConfig

T = TypeVar("T")
_NO_KEY = "none"  # the client insists on one
_NOBODY_ELSE_S = cast(
    Mapping[str, str],
    dict.fromkeys(("OpenAI-Organization", "OpenAI-Project"), openai.Omit()),
)
"""What the environment says of accounts at OpenAI itself is no business of other services."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote. `cut_off`: it had no room for more."""

    text: str
    model: str
    cut_off: bool
    input_tokens: int
    output_tokens: int


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
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
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

        def complete() -> ChatCompletion:
            return self._client.chat.completions.create(
                model=self._config.model,
                messages=wanted,
                temperature=openai.omit
                if self._config.temperature is None
                else self._config.temperature,
                response_format={"type": "json_object"} if self._config.json_mode else openai.omit,
            )

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

    def _reply(self, completion: ChatCompletion) -> Reply:
        # The client checks nothing: what is no JSON comes as text, what is missing as None.
        choices = getattr(completion, "choices", None)
        message = getattr(choices[0], "message", None) if choices else None
        if message is None:
            raise NetworkError(
                f"{self._name} answers with something that is no chat completion",
                where=self._config.base_url,
                fixes=("check base_url: most services have a /v1 at its end",),
            )
        usage = completion.usage
        return Reply(
            message.content if isinstance(message.content, str) else "",
            completion.model or self._config.model,
            completion.choices[0].finish_reason == "length",
            (usage.prompt_tokens if usage else 0) or 0,
            (usage.completion_tokens if usage else 0) or 0,
        )

    def _in_words(self, error: openai.APIStatusError) -> CreateLLMError:
        status, said = error.status_code, self._said(error)
        if status in (401, 403):
            return self._refusal(said)
        if status == 404:
            return self._no_model(said)
        if 300 <= status < 400:
            return self._redirected(error)
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
            return [str(model["id"]) for model in listed]
        except (ValueError, TypeError, KeyError):
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

    def _redirected(self, error: openai.APIStatusError) -> NetworkError:
        host = urlsplit(error.response.headers.get("location", "")).netloc or "another address"
        return NetworkError(
            f"{self._name} sends us on to {host}, and the key is not sent there",
            where=self._config.base_url,
            fixes=("if you trust that address, make it the base_url",),
        )

    def _said(self, error: openai.APIStatusError) -> str:
        """Status and message of the service, without the key should it quote that."""
        body = error.body if isinstance(error.body, dict) else {}
        message = " ".join(str(body.get("message") or "").split())[:200]
        text = f"{error.status_code} {message}".strip()
        return self._secret.hide(text) if self._secret else text
