"""JSON over HTTP to one service: patient, and with the key for its host alone."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus

import requests
from requests.auth import AuthBase
from urllib3.exceptions import DecodeError, HTTPError, ReadTimeoutError

from create_llm import responses
from create_llm.credentials import Secret, refused
from create_llm.errors import NetworkError
from create_llm.retries import AGAIN, Patience, Transient, patiently, retry_after
from create_llm_synthex.config import SynthexConfig

HELP = "your account at the service"
_READ = 1 << 18
_SAID = 200
"""Characters of what the service says that are shown."""


class Refused(Exception):
    """The service does not take this one request; another one may pass."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. `body`: what its JSON holds, without the key; None where it is no JSON."""

    status: int
    body: object


class Service:
    """One service.

    Args:
        header: what carries the key.
        prefix: what stands before it there.
    """

    def __init__(self, config: SynthexConfig, secret: Secret, header: str, prefix: str) -> None:
        self._config, self._secret = config, secret
        self.name = responses.host_of(config.address)
        self._session = requests.Session()
        self._session.auth = _Key(header, f"{prefix}{secret.reveal()}")
        # The library reads a redirect, all of it and its address, also where it follows none.
        self._session.hooks["response"].append(self._refuse_redirect)

    def get(self, path: str, *, absent: Collection[int] = ()) -> Response | None:
        """What is at a path; None where the status is one of `absent`."""
        return self._patiently("GET", path, None, {}, absent)

    def post(
        self, path: str, body: Mapping[str, object] | None, headers: Mapping[str, str]
    ) -> Response:
        """The answer to a body.

        Raises:
            Refused: of this request alone.
            CredentialsError, NetworkError: of the key, the service.
        """
        response = self._patiently("POST", path, body, headers, ())
        assert response is not None
        return response

    def _patiently(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        headers: Mapping[str, str],
        absent: Collection[int],
    ) -> Response | None:
        def attempt() -> Response:
            return self._attempt(method, path, body, headers)

        patience = Patience(asked=self._config.longest_wait)
        response = patiently(self.name, attempt, patience)
        if response.status in absent:
            return None
        self._need_success(response)
        if response.body is None:
            raise self.strange("no JSON")
        return response

    def _attempt(
        self, method: str, path: str, body: Mapping[str, object] | None, headers: Mapping[str, str]
    ) -> Response:
        try:
            with closing(
                self._session.request(
                    method,
                    f"{self._config.address}/{path}",
                    data=None if body is None else json.dumps(body),
                    headers={"Content-Type": "application/json", **headers},
                    timeout=self._config.timeout,
                    allow_redirects=False,
                    stream=True,
                )
            ) as response:
                answer = Response(response.status_code, self._json(response))
        except (requests.Timeout, ReadTimeoutError):
            raise Transient(f"it said nothing for {self._config.timeout:g} s") from None
        except DecodeError:
            raise self.strange("something that cannot be unpacked") from None
        except (requests.RequestException, HTTPError):
            raise Transient("the connection failed") from None
        if answer.status in AGAIN:
            wait = retry_after(response.headers.get("Retry-After"))
            raise Transient(self._said(answer), wait)
        return answer

    def _json(self, response: requests.Response) -> object:
        longest = max(self._config.timeout, responses.LONGEST)
        text = responses.whole(self.name, _chunks(response), seconds=longest)
        try:
            # In what is kept of an answer, the key has no place either.
            return json.loads(text, object_hook=self._without_key)
        except (ValueError, RecursionError):
            return None

    def _without_key(self, fields: dict[str, object]) -> dict[str, object]:
        return {
            name: self._secret.hide(value) if isinstance(value, str) else value
            for name, value in fields.items()
        }

    def _refuse_redirect(self, response: requests.Response, **sent: object) -> None:
        if 300 <= response.status_code < 400:
            host = responses.host_of(response.headers.get("Location", ""))
            raise NetworkError(
                f"{self.name} sends us on to {host}, and the key is not sent there",
                where=self._config.address,
                fixes=("if you trust that address, make it the base_url",),
            )

    def _need_success(self, response: Response) -> None:
        status = response.status
        if status in (401, 403):
            raise refused(self.name, self._secret, HELP, why=self._said(response))
        if status in (400, 413, 422):
            raise Refused(self._said(response))
        if status not in (200, 201, 206):
            raise NetworkError(
                f"{self.name}: {self._said(response)}",
                where=self._config.address,
                fixes=("check base_url", "see your account there: credit, limits"),
            )

    def strange(self, what: str) -> NetworkError:
        """The error where an answer is not what the contract says."""
        return NetworkError(
            f"{self.name} answers with {what}",
            where=self._config.address,
            fixes=(
                "check base_url and backend; the contract is in the README of create-llm-synthex",
            ),
        )

    def _said(self, response: Response) -> str:
        """Status and message, without the key should it be quoted."""
        body = response.body if isinstance(response.body, dict) else {}
        told = body.get("error") or body.get("message") or _meaning(response.status)
        said = responses.one_line(f"{response.status} {told}")
        return self._secret.hide(said, _SAID)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """As they come: iter_content would wait for full blocks."""
    while chunk := response.raw.read1(_READ, decode_content=True):
        yield chunk


def _meaning(status: int) -> str:
    return HTTPStatus(status).phrase if status in list(HTTPStatus) else ""


class _Key(AuthBase):
    """Without one of its own, requests would send what ~/.netrc has for the host."""

    def __init__(self, header: str, value: str) -> None:
        self._header, self._value = header, value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self._header] = self._value
        return request
