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
from urllib.request import getproxies, proxy_bypass

import httpx
from replicate.client import Client
from replicate.exceptions import ReplicateError
from replicate.model import Model
from replicate.prediction import Prediction

from create_llm.credentials import credential, refused
from create_llm.errors import ConfigError, CreateLLMError, CredentialsError, NetworkError
from create_llm.responses import LONGEST, by_any_proxy, host_of, is_this_machine, one_line, whole
from create_llm.retries import AGAIN, Transient, patiently, retry_after
from create_llm_replicate.config import FULL_NAME, ReplicateConfig

T = TypeVar("T")

NAME = "Replicate"
_ENV = "REPLICATE_API_TOKEN"
_HELP = "https://replicate.com/account/api-tokens"
_HOST = "https://api.replicate.com"
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_BUSY = AGAIN - {409}
"""409 is its answer where a model is there already."""

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
            transport=_Transport(self.url, timeout),
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
        return patiently(NAME, lambda: self._attempt(call, once=once))

    def _attempt(self, call: Callable[[], T], *, once: bool) -> T:
        try:
            return call()
        except _Busy as busy:
            if once and busy.status not in _NOT_BEGUN:
                raise self._unsure(busy.what) from None
            raise
        except httpx.TransportError as error:
            what = "the connection failed"
            if isinstance(error, httpx.TimeoutException):
                what = "it said nothing for too long"
            if once and not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
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


class _Busy(Transient):
    """An answer that says: later."""

    def __init__(self, status: int, after: float | None) -> None:
        super().__init__(f"it answers {status}", after)
        self.status = status


class _Transport(httpx.HTTPTransport):
    """Sends; raises where another attempt may do, where it is sent elsewhere, and where an answer
    has no end. None may come packed: the library unpacks a small one into any size at once."""

    def __init__(self, url: str, timeout: httpx.Timeout) -> None:
        with by_any_proxy(NAME):
            super().__init__(proxy=_proxy_to(url))
        self._url, self._limits = url, timeout.as_dict()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        # The client begins a prediction without any limit.
        given = request.extensions.get("timeout", {})
        asked = {name: seconds for name, seconds in given.items() if seconds is not None}
        request.extensions["timeout"] = {**self._limits, **asked}
        request.headers["Accept-Encoding"] = "identity"
        response = super().handle_request(request)
        if response.status_code in _BUSY:
            response.close()
            raise _Busy(response.status_code, retry_after(response.headers.get("Retry-After")))
        if 300 <= response.status_code < 400:
            response.close()
            raise _elsewhere(response.headers.get("Location", ""), self._url)
        with contextlib.closing(response):
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise httpx.DecodingError("it was asked not to pack its answers")
            body = whole(NAME, response.iter_raw(), seconds=LONGEST)
        return httpx.Response(response.status_code, headers=response.headers, content=body)


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


def _elsewhere(location: str, url: str) -> CreateLLMError:
    return NetworkError(
        f"{NAME} sends us on to {host_of(location)}, and the token is not sent there",
        where=url,
        fixes=("if you trust that address, make it REPLICATE_BASE_URL",),
    )


def _proxy_to(url: str) -> str | None:
    """That of the environment, which the library looks for only where it sends by itself."""
    parts, proxies = urlsplit(url), getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or proxy_bypass(parts.netloc):
        return None
    return found if "://" in found else f"http://{found}"


def _refuse_in_the_clear(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or is_this_machine(parts.hostname or ""):
        return
    raise CredentialsError(
        "the token would be sent unprotected, for everybody on the way to read",
        where=f"REPLICATE_BASE_URL, host {parts.hostname}",
        fixes=("use the https address", f"or leave it out: {_HOST}"),
    )
