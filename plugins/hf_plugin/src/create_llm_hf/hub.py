"""The Hub's own client, with limits on what it waits for and words for what goes wrong.

Uploads and downloads go by plain HTTP: what the client does through Xet, another protocol in a
compiled library, is out of reach of these limits.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import httpx2
from huggingface_hub import HfApi, constants, get_token, set_client_factory
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._http import default_client_factory
from huggingface_hub.utils.tqdm import disable_progress_bars

from create_llm import __version__
from create_llm.credentials import Secret, credential, find_credential, refused
from create_llm.errors import ConfigError, CreateLLMError, CredentialsError, NetworkError
from create_llm.responses import bounded, by_any_proxy, host_of, one_line
from create_llm.retries import AGAIN, Patience, Transient, patiently, retry_after

SILENCE = 60.0
"""Seconds without a byte, either way, after which a connection is given up."""
_CONNECT = 15.0
_PATIENCE = Patience(attempts=5, longest=8.0, asked=120.0)
_SAID = 200
"""Characters of what the service says that are shown."""
_MOVED_ON = 412
"""Somebody else, or the attempt before, has committed meanwhile."""
_STRANGE = (
    *(ValueError, TypeError, KeyError, AttributeError, NameError, RecursionError),
    *(httpx2.InvalidURL, httpx2.DecodingError, httpx2.TooManyRedirects),
)
"""What the client raises where an answer is not what it expects."""
SERVICE, VARIABLE, LOGIN = "Hugging Face", "HF_TOKEN", "hf auth login"
TOKENS = "https://huggingface.co/settings/tokens"

T = TypeVar("T")


@dataclass(frozen=True)
class Hub:
    """The service at `endpoint`."""

    endpoint: str
    secret: Secret | None

    @property
    def token(self) -> str | None:
        return self.secret.reveal() if self.secret else None

    @property
    def api(self) -> HfApi:
        return HfApi(
            endpoint=self.endpoint,
            token=self.token or False,
            library_name="create-llm",
            library_version=__version__,
        )

    def url(self, *path: str) -> str:
        """An address to show; its parts may come from the service."""
        return self.said("/".join((self.endpoint, *path)))

    def said(self, text: str, limit: int | None = None) -> str:
        """What the service says, fit to be shown."""
        line = one_line(text)
        return self.secret.hide(line, limit) if self.secret else line[:limit]

    def patiently(self, attempt: Callable[[], T], what: str) -> T:
        """What `attempt` returns; made again where the reason may pass.

        Args:
            what: cannot be done if it fails: "the model cannot be sent".

        Raises:
            NetworkError: the service is out of reach or answers what it should not.
            CredentialsError: it refuses the token.
            ConfigError: there is no such repository or revision.
        """

        def ask() -> T:
            try:
                return attempt()
            except CreateLLMError:
                raise
            except Exception as error:
                cause = _cause(error)
                # Never "from error": the library quotes the service, and that may quote the token.
                if isinstance(cause, Transient):
                    raise cause from None
                if _may_pass(cause):
                    raise Transient(_short(cause), _asked(cause)) from None
                words = self._in_words(cause, what)
                if words is error:
                    raise
                raise words from None

        try:
            return patiently(SERVICE, ask, _PATIENCE, sleep=time.sleep)
        except NetworkError as error:
            if error.where in (None, SERVICE):  # who asks again knows no address
                error.where = self.endpoint
            raise

    def _in_words(self, error: BaseException, what: str) -> BaseException:
        if isinstance(error, CreateLLMError):
            return error
        if isinstance(error, OfflineModeIsEnabled):
            return NetworkError(
                f"{what}: offline mode is switched on", fixes=("unset HF_HUB_OFFLINE",)
            )
        if isinstance(error, HfHubHTTPError):
            return self._refused(error, what)
        if isinstance(error, LocalEntryNotFoundError):
            fixes = ("check the network", "run the same command again")
            return NetworkError(f"{what}: {_short(error)}", where=self.endpoint, fixes=fixes)
        if isinstance(error, HFValidationError):
            spelling = ("check the spelling: ORGANISATION/NAME",)
            return ConfigError(f"{what}: {self.said(str(error), _SAID)}", fixes=spelling)
        if isinstance(error, _STRANGE):
            return NetworkError(
                f"{what}: the service answers with something that its client does not understand",
                where=self.endpoint,
                fixes=("check HF_ENDPOINT", "update: pip install --upgrade huggingface_hub"),
            )
        return error

    def _refused(self, error: HfHubHTTPError, what: str) -> CreateLLMError:
        status = error.response.status_code
        if isinstance(error, GatedRepoError):
            return CredentialsError(
                f"{what}: its owner asks who you are first",
                where=self.endpoint,
                fixes=("accept the conditions on its page in a browser", f"then: {LOGIN}"),
            )
        if isinstance(error, RevisionNotFoundError):
            fixes = ("see its branches and tags on its page", "or leave the revision out: main")
            return ConfigError(
                f"{what}: there is no such revision", where=self.endpoint, fixes=fixes
            )
        if status in (401, 403) and not isinstance(error, RepositoryNotFoundError):
            return self._token_refused(status, what)
        if isinstance(error, RepositoryNotFoundError) or status == 404:
            signed = "or it is private, and your token may not see it"
            return ConfigError(
                f"{what}: the service knows nothing of that name",
                where=self.endpoint,
                fixes=("check the spelling: ORGANISATION/NAME", f"{signed}: {LOGIN}"),
            )
        said = self.said(error.server_message or "", _SAID)
        return NetworkError(
            f"{what}: the service answers {status}{f' ({said})' if said else ''}",
            where=self.endpoint,
            fixes=("run the same command again later", "see https://status.huggingface.co"),
        )

    def _token_refused(self, status: int, what: str) -> CredentialsError:
        if self.secret is not None:
            why = "it is not known, or no longer valid" if status == 401 else "it may not do that"
            return refused(SERVICE, self.secret, TOKENS, why=f"{why}; {what}")
        return CredentialsError(
            f"{what}: the service asks who you are",
            where=self.endpoint,
            fixes=(f"get a token: {TOKENS}", f"put it into .env: {VARIABLE}=…", f"or: {LOGIN}"),
        )


def open_hub(secret: Secret | None) -> Hub:
    """The service of HF_ENDPOINT, or huggingface.co."""
    constants.HF_HUB_DISABLE_XET = True
    # It asks the service for a list first, and tells it which programs are at work on this machine.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    _limit_waiting()
    _show_bars_on_a_terminal_only()
    return Hub(os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/"), secret)


def needed_token() -> Secret:
    """The token of this machine; a person at a terminal is asked for one.

    Raises:
        CredentialsError: there is none.
    """
    return credential(SERVICE, env=VARIABLE, help=TOKENS, login=get_token, login_name=LOGIN)


def found_token(project: Path | None = None) -> Secret | None:
    """The token of this machine, for what may work without one too."""
    return find_credential(VARIABLE, project=project, login=get_token, login_name=LOGIN)


def _show_bars_on_a_terminal_only() -> None:
    """The library's bars of what is sent go into pipes and logs too, unless it is told."""
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None and not sys.stderr.isatty():
        disable_progress_bars()


@cache
def _limit_waiting() -> None:
    """For the whole process: a client costs a tenth of a second, most of it for certificates."""
    set_client_factory(_client)


def _client() -> httpx2.Client:
    """The library's own waits for ever, and as long as a service asks it to."""
    with by_any_proxy(SERVICE):
        client = default_client_factory()
    client.timeout = httpx2.Timeout(SILENCE, connect=min(_CONNECT, SILENCE))
    limits = client.timeout.as_dict()

    def limit(request: httpx2.Request) -> None:
        """Some calls ask for no limit of their own, which would be none at all."""
        given = request.extensions.get("timeout", {})
        asked = {name: seconds for name, seconds in given.items() if seconds is not None}
        request.extensions["timeout"] = {**limits, **asked}
        if _is_call(request.url):
            request.headers["accept-encoding"] = "identity"

    hooks = client.event_hooks
    client.event_hooks = {
        "request": [*hooks.get("request", []), limit],
        "response": [*hooks.get("response", []), _check, _bound],
    }
    return client


def _check(response: httpx2.Response) -> None:
    again = response.status_code in AGAIN
    asked = retry_after(response.headers.get("retry-after")) if again else None
    if asked is not None and asked > _PATIENCE.asked:
        raise NetworkError(
            f"the service asks to come back in {asked / 60:.0f} minutes",
            where=_bare(str(response.url)),
            fixes=("run the same command again then",),
        )
    if asked is not None:  # the library does not read a date where it sends large files
        response.headers["retry-after"] = str(math.ceil(asked))
        if response.request.method == "HEAD":  # nor anything of it before it goes on without
            raise Transient(f"the service answers {response.status_code}", asked)
    here = str(response.url)
    there = response.headers.get("location", "")
    elsewhere = response.is_redirect and not _is_same_host(here, there)
    if elsewhere and response.request.method not in ("GET", "HEAD"):
        raise NetworkError(
            f"the service redirects what is sent to {host_of(there)}; that is not followed",
            where=_bare(here),
            fixes=("check HF_ENDPOINT and the proxy",),
        )


class _Bounded(httpx2.SyncByteStream):
    """The body of an answer that is read into memory."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        return bounded(SERVICE, self._stream)

    def close(self) -> None:
        self._stream.close()


def _bound(response: httpx2.Response) -> None:
    """What is no file of a repository comes to little, and is to say so before it is unpacked."""
    if not _is_call(response.url) or not isinstance(response.stream, httpx2.SyncByteStream):
        return
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NetworkError(
            "the service packs what it was asked not to",
            where=_bare(str(response.url)),
            fixes=("check HF_ENDPOINT and the proxy",),
        )
    response.stream = _Bounded(response.stream)


def _is_call(url: httpx2.URL) -> bool:
    return "/api/" in url.path or "/info/lfs/" in url.path


def _is_same_host(here: str, there: str) -> bool:
    """Whether a redirect, which may be relative, stays where it is."""
    try:
        return urlsplit(here)[:2] == urlsplit(urljoin(here, there))[:2]
    except ValueError:
        return False


def _cause(error: BaseException) -> BaseException:
    """The library wraps what goes wrong with a large file, and a first look at a download."""
    wraps = isinstance(error, RuntimeError | LocalEntryNotFoundError)
    return _cause(error.__cause__) if wraps and error.__cause__ else error


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in AGAIN | {_MOVED_ON}
    # The library expects JSON of an answer before it looks at its status.
    return isinstance(error, httpx2.TransportError | json.JSONDecodeError)


def _asked(error: BaseException) -> float | None:
    if not isinstance(error, HfHubHTTPError):
        return None
    return retry_after(error.response.headers.get("retry-after"))


def _short(error: BaseException) -> str:
    if isinstance(error, HfHubHTTPError):
        return f"the service answers {error.response.status_code}"
    if isinstance(error, httpx2.TimeoutException):
        return "the service says nothing more"
    if isinstance(error, json.JSONDecodeError):
        return "the service answers what cannot be read"
    return "the connection failed"


def _bare(url: str) -> str:
    """Without the query, which may be a signature."""
    return urlsplit(url)._replace(query="", fragment="").geturl()
