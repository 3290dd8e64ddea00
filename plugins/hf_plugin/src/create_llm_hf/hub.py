"""The Hub's own client, with limits on what it waits for and words for what goes wrong.

Uploads and downloads go by plain HTTP: what the client does through Xet, another protocol in a
compiled library, is out of reach of these limits.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
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
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._http import default_client_factory

from create_llm.credentials import Secret, credential, find_credential, refused
from create_llm.errors import ConfigError, CreateLLMError, CredentialsError, NetworkError
from create_llm.retries import AGAIN, Patience, Transient, patiently, retry_after

SILENCE = 60.0
"""Seconds without a byte, either way, after which a connection is given up."""
_CONNECT = 15.0
_PATIENCE = Patience(attempts=5, longest=8.0, asked=120.0)
_MOVED_ON = 412
"""Somebody else, or the attempt before, has committed meanwhile."""
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
        return HfApi(endpoint=self.endpoint, token=self.token or False, library_name="create-llm")

    def url(self, *path: str) -> str:
        return "/".join((self.endpoint, *path))

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
                if _may_pass(cause):
                    raise Transient(_short(cause), _asked(cause)) from error
                raise self._in_words(cause, what) from error

        return patiently(SERVICE, ask, _PATIENCE, sleep=time.sleep)

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
            return ConfigError(f"{what}: there is no such revision", fixes=fixes)
        if status in (401, 403) and not isinstance(error, RepositoryNotFoundError):
            return self._token_refused(status, what)
        if isinstance(error, RepositoryNotFoundError) or status == 404:
            signed = "or it is private, and your token may not see it"
            return ConfigError(
                f"{what}: the service knows nothing of that name",
                where=self.endpoint,
                fixes=("check the spelling: ORGANISATION/NAME", f"{signed}: {LOGIN}"),
            )
        said = error.server_message or ""
        said = self.secret.hide(said) if self.secret else said
        return NetworkError(
            f"{what}: the service answers {status}{f' ({said[:200]})' if said else ''}",
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
    _limit_waiting()
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


@cache
def _limit_waiting() -> None:
    """For the whole process: a client costs a tenth of a second, most of it for certificates."""
    set_client_factory(_client)


def _client() -> httpx2.Client:
    """The library's own waits for ever, and as long as a service asks it to."""
    client = default_client_factory()
    client.timeout = httpx2.Timeout(SILENCE, connect=min(_CONNECT, SILENCE))
    hooks = client.event_hooks
    client.event_hooks = {**hooks, "response": [*hooks.get("response", []), _check]}
    return client


def _check(response: httpx2.Response) -> None:
    asked = retry_after(response.headers.get("retry-after"))
    if asked is not None and asked > _PATIENCE.asked:
        raise NetworkError(
            f"the service asks to come back in {asked / 60:.0f} minutes",
            where=_bare(str(response.url)),
            fixes=("run the same command again then",),
        )
    if asked is not None:  # the library does not read a date where it sends large files
        response.headers["retry-after"] = str(math.ceil(asked))
    here = str(response.url)
    there = urljoin(here, response.headers.get("location", ""))
    elsewhere = response.is_redirect and urlsplit(here)[:2] != urlsplit(there)[:2]
    if elsewhere and response.request.method not in ("GET", "HEAD"):
        raise NetworkError(
            f"the service redirects what is sent to {urlsplit(there).hostname}; that is not "
            "followed",
            where=_bare(here),
            fixes=("check HF_ENDPOINT and the proxy",),
        )


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
