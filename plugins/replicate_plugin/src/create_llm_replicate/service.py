"""Replicate's client, with errors in plain words and patience of our own.

The client's own retries do not read every Retry-After, so an answer to be retried never reaches
them. It follows no redirect: the token is for one host. Its own errors are never the cause of
ours: a service may quote the token in its answer, and a stack trace would show that.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from replicate.client import Client
from replicate.exceptions import ReplicateError
from replicate.model import Model
from replicate.prediction import Prediction

from create_llm.credentials import credential, refused
from create_llm.errors import (
    ConfigError,
    CreateLLMError,
    CredentialsError,
    NetworkError,
    did_you_mean,
)
from create_llm.responses import host_of, is_this_machine, one_line
from create_llm.retries import Transient, patiently
from create_llm_replicate.config import FULL_NAME, ReplicateConfig
from create_llm_replicate.transport import NAME, Busy, Transport

T = TypeVar("T")

_ENV = "REPLICATE_API_TOKEN"
_HELP = "https://replicate.com/account/api-tokens"
_HOST = "https://api.replicate.com"
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_CONNECTIONS = 3
"""How often a connection is tried for: where there is no network, more would only take longer."""

_NOT_BEGUN = frozenset((429, 503))
"""Answers after which it is sure that nothing runs, and nothing is paid for."""

_OVER = ("succeeded", "failed", "canceled", "aborted")
_STRANGE = (
    *(ValueError, TypeError, AttributeError, KeyError, RecursionError),
    httpx.DecodingError,
)
"""What the client raises where an answer is not what it expects."""
_SAID = 300
"""Characters of what the service says that are shown."""
_POLL = 1.0
_SIGHTINGS = 30


class Service:
    """Replicate, as the owner of a token sees it.

    Raises:
        CredentialsError: there is no token, or it would be sent unprotected.
    """

    def __init__(self, timeout: httpx.Timeout = _TIMEOUT) -> None:
        self.url = (os.environ.get("REPLICATE_BASE_URL") or _HOST).rstrip("/")
        _refuse_in_the_clear(self.url)
        self._secret = credential(NAME, env=_ENV, help=_HELP)
        self._client = Client(
            self._secret.reveal(),
            base_url=self.url,
            timeout=timeout,
            transport=Transport(self.url, timeout),
            follow_redirects=False,
        )

    def full_name(self, name: str) -> str:
        """OWNER/NAME. Asks who the token belongs to, so that nothing is begun in vain."""
        account = self._ask(self._client.accounts.current)
        full = name if "/" in name else f"{account.username}/{name}"
        if not re.fullmatch(FULL_NAME, full.lower()):
            raise NetworkError(
                f"{NAME} says that the key belongs to an account that cannot be",
                where=host_of(self.url),
                fixes=("check REPLICATE_BASE_URL", "name the account: model_name = OWNER/NAME"),
            )
        return full

    def model(self, name: str) -> Model | None:
        """A model by its full name; None where there is none, or none that the token may see."""
        try:
            return self._ask(lambda: self._client.models.get(name))
        except _Missing:
            return None

    def make_model(self, name: str, config: ReplicateConfig) -> Model:
        """The model, made unless it is there."""
        found = self.model(name) or self._created(name, config)
        if config.visibility == "private" and found.visibility != "private":
            raise ConfigError(
                f"{name} is public, and deployment.replicate.visibility is private",
                where=found.url,
                fixes=(
                    "publish it for all to see: --set deployment.replicate.visibility=public",
                    "or choose another deployment.replicate.model_name",
                ),
            )
        return found

    def run(self, version: str, prompt: str) -> Iterator[str]:
        """What a version writes after a prompt, as it comes; stopped where nobody waits for it.

        Raises:
            NetworkError: the service is out of reach, or the model fails there.
        """
        begin = self._client.predictions.create
        prediction = self._ask(lambda: begin(version=version, input={"prompt": prompt}), once=True)
        told = 0
        try:
            while True:
                pieces = [self._secret.hide(piece) for piece in _pieces(prediction)]
                yield from pieces[told:]
                told = max(told, len(pieces))
                if prediction.status in _OVER:
                    break
                time.sleep(_POLL)
                prediction = self._seen_again(prediction)
        except BaseException:
            self._stop(prediction)
            raise
        if prediction.status != "succeeded":
            raise NetworkError(
                f"the model {prediction.status} at {NAME}: {self.said(prediction.error)}",
                where=f"prediction {prediction.id}",
                fixes=("see its logs at https://replicate.com/predictions", "run it once more"),
            )

    def _created(self, name: str, config: ReplicateConfig) -> Model:
        self._refuse_unknown(config.hardware)
        owner, _, short = name.partition("/")
        made = self._client.models.create
        look = {"visibility": config.visibility, "hardware": config.hardware}
        try:
            return self._ask(lambda: made(owner, short, **look))  # type: ignore[arg-type]
        except _Exists:  # made by an attempt whose answer was lost, or by another one meanwhile
            found = self.model(name)
        if found is None:
            raise ConfigError(
                f"{name} belongs to somebody else",
                where="deployment.replicate.model_name",
                fixes=("choose another name", "or a token that may write there"),
            )
        return found

    def _refuse_unknown(self, hardware: str) -> None:
        """
        Raises:
            ConfigError: the service lists no such hardware.
        """
        try:
            known = [each.sku for each in self._ask(self._client.hardware.list)]
        except _Missing:  # it has no list: then it says itself what it does not know
            return
        if hardware not in known:
            listed = ", ".join(map(self.said, known))
            raise ConfigError(
                f"{NAME} has no hardware called '{hardware}'",
                where="deployment.replicate.hardware",
                fixes=(*did_you_mean(hardware, known), f"there are: {listed}"),
            )

    def _seen_again(self, prediction: Prediction) -> Prediction:
        return self._ask(lambda: self._client.predictions.get(prediction.id))

    def _stop(self, prediction: Prediction) -> None:
        """Nobody waits for it any more: it is not to cost more. What happened is on its way up."""
        if prediction.status not in _OVER:
            with contextlib.suppress(CreateLLMError, Transient):
                self._attempt(lambda: self._client.predictions.cancel(prediction.id), once=True)

    def _ask(self, call: Callable[[], T], *, once: bool = False) -> T:
        """What a call returns.

        Args:
            once: it is not made again where it may have begun something.
        """
        unreached = 0

        def attempt() -> T:
            nonlocal unreached
            try:
                return self._attempt(call, once=once)
            except _Unreached:
                unreached += 1
                if unreached < _CONNECTIONS:
                    raise
                raise self._out_of_reach() from None

        return patiently(NAME, attempt)

    def _attempt(self, call: Callable[[], T], *, once: bool) -> T:
        try:
            return call()
        except Busy as busy:
            if once and busy.status not in _NOT_BEGUN:
                raise self._unsure(busy.what) from None
            raise
        except httpx.TransportError as error:
            what = "the connection failed"
            if isinstance(error, httpx.TimeoutException):
                what = "it said nothing for too long"
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                raise _Unreached(what) from None
            if once:
                raise self._unsure(what) from None
            raise Transient(what) from None
        except ReplicateError as error:
            raise self._in_words(error) from None
        except _STRANGE:
            raise NetworkError(
                f"{NAME} answers with something that its client does not understand",
                where=self.url,
                fixes=("check REPLICATE_BASE_URL", "update: pip install --upgrade replicate"),
            ) from None

    def _out_of_reach(self) -> NetworkError:
        return NetworkError(
            f"{NAME} is out of reach: no connection to {host_of(self.url)} in {_CONNECTIONS} "
            "attempts",
            where=self.url,
            fixes=(
                "check the network, and HTTPS_PROXY behind a proxy",
                "run the same command again",
            ),
        )

    def _unsure(self, what: str) -> NetworkError:
        return NetworkError(
            f"{NAME} did not say whether it runs the model: {what}",
            where=self.url,
            fixes=("look: https://replicate.com/predictions", "or run the same command again"),
        )

    def _in_words(self, error: ReplicateError) -> CreateLLMError:
        said = self.said(error.detail or error.title)
        if error.status in (401, 403):
            return refused(NAME, self._secret, _HELP, why=f"{error.status} {said}")
        kind = {404: _Missing, 409: _Exists}.get(error.status or 0, NetworkError)
        return kind(
            f"{NAME}: {error.status} {said}",
            where=self.url,
            fixes=("check [deployment.replicate]", "see your account there: billing, limits"),
        )

    def said(self, what: object) -> str:
        """What the service says, fit to be shown."""
        return self._secret.hide(one_line(str(what or "no reason")), _SAID)


class _Missing(NetworkError):
    """404."""


class _Exists(NetworkError):
    """409."""


class _Unreached(Transient):
    """No connection came about."""


def sighted(look: Callable[[], T | None], what: str) -> T:
    """What `look` finds, which the service takes a moment to show.

    Raises:
        NetworkError: it does not show it.
    """
    for _ in range(_SIGHTINGS):
        found = look()
        if found is not None:
            return found
        time.sleep(_POLL)
    raise NetworkError(
        f"{NAME} does not show {what}",
        where=NAME,
        fixes=("run the same command again: what is there is not sent twice",),
    )


def _pieces(prediction: Prediction) -> list[str]:
    output = prediction.output
    if output is None:
        return []
    return [str(piece) for piece in output] if isinstance(output, list) else [str(output)]


def _refuse_in_the_clear(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or is_this_machine(parts.hostname or ""):
        return
    raise CredentialsError(
        "the token would be sent unprotected, for everybody on the way to read",
        where=f"REPLICATE_BASE_URL, host {parts.hostname}",
        fixes=("use the https address", f"or leave it out: {_HOST}"),
    )
