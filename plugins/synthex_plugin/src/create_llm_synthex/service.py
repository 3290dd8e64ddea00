"""JSON over HTTP to one service: patient, and with the key for its host alone."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from create_llm.credentials import Secret, refused
from create_llm.errors import NetworkError
from create_llm.retries import AGAIN, Patience, Transient, patiently, retry_after
from create_llm_synthex.config import SynthexConfig

HELP = "your account at the service"


class Refused(Exception):
    """The service does not take this one request; another one may pass."""


@dataclass(frozen=True, slots=True)
class Response:
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
        self.name = urlsplit(config.address).netloc
        self._session = requests.Session()
        self._session.auth = _Key(header, f"{prefix}{secret.reveal()}")

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
        def attempt() -> requests.Response:
            return self._attempt(method, path, body, headers)

        patience = Patience(asked=self._config.longest_wait)
        response = patiently(self.name, attempt, patience)
        if response.status_code in absent:
            return None
        self._need_success(response)
        try:
            return Response(response.status_code, response.json())
        except ValueError as error:
            raise self.strange("no JSON") from error

    def _attempt(
        self, method: str, path: str, body: Mapping[str, object] | None, headers: Mapping[str, str]
    ) -> requests.Response:
        try:
            response = self._session.request(
                method,
                f"{self._config.address}/{path}",
                data=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json", **headers},
                timeout=self._config.timeout,
                allow_redirects=False,
            )
        except requests.Timeout as error:
            raise Transient(f"it said nothing for {self._config.timeout:g} s") from error
        except requests.RequestException as error:
            raise Transient("the connection failed") from error
        if response.status_code in AGAIN:
            wait = retry_after(response.headers.get("Retry-After"))
            raise Transient(self._said(response), wait)
        return response

    def _need_success(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (401, 403):
            raise refused(self.name, self._secret, HELP, why=self._said(response))
        if status in (400, 413, 422):
            raise Refused(self._said(response))
        if 300 <= status < 400:
            host = urlsplit(response.headers.get("Location", "")).netloc or "another address"
            raise NetworkError(
                f"{self.name} sends us on to {host}, and the key is not sent there",
                where=self._config.address,
                fixes=("if you trust that address, make it the base_url",),
            )
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

    def _said(self, response: requests.Response) -> str:
        """Status and message, without the key should it be quoted."""
        try:
            body = response.json()
        except ValueError:
            body = None
        told = body.get("error") or body.get("message") if isinstance(body, dict) else ""
        words = " ".join(str(told or response.reason or "").split())[:200]
        return self._secret.hide(f"{response.status_code} {words}".strip())


class _Key(AuthBase):
    """Without one of its own, requests would send what ~/.netrc has for the host."""

    def __init__(self, header: str, value: str) -> None:
        self._header, self._value = header, value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self._header] = self._value
        return request
