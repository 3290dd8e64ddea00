"""What a request must pass before anything is done for it."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from create_llm_serve.problems import ApiError

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
OPEN = ("/healthz",)
"""What needs no key and no room."""


class Guard:
    """Checks the Host header and the API key, and how many requests there are."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], key: str | None, most: int) -> None:
        """
        Args:
            hosts: names that a request may ask for; empty for any.
            key: that it must bring, if there is one.
            most: requests at the same time.
        """
        self._app, self._hosts, self._most = app, hosts, most
        self._key = None if key is None else key.encode()
        self._at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._problem(Headers(scope=scope), scope["path"])
        if problem is not None:
            await problem.response()(scope, receive, send)
            return
        self._at_once += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._at_once -= 1

    def _problem(self, headers: Headers, path: str) -> ApiError | None:
        if self._hosts and _host(headers) not in self._hosts:
            return ApiError(
                403,
                "the Host header names another server; ask for localhost or 127.0.0.1",
                code="host_not_allowed",
            )
        if path in OPEN:
            return None
        if self._key is not None and not self._has_key(headers):
            return ApiError(
                401,
                "the API key is missing or wrong: send it as 'Authorization: Bearer KEY'",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )
        if self._at_once >= self._most:
            return ApiError(
                429,
                "too many requests at the same time; come back in a moment",
                code="rate_limit_exceeded",
                headers={"retry-after": "1"},
            )
        return None

    def _has_key(self, headers: Headers) -> bool:
        assert self._key is not None
        scheme, _, key = headers.get("authorization", "").partition(" ")
        # Takes as long for a key that is nearly right.
        right = hmac.compare_digest(key.strip().encode("utf-8", "replace"), self._key)
        return scheme.lower() == "bearer" and right


def hosts_of(address: str, *, loopback: bool) -> tuple[str, ...]:
    """The hosts that requests may name.

    A page of the web whose name leads to 127.0.0.1 (DNS rebinding) could read what a browser on
    this machine gets from here; its own name in the Host header gives it away. Beyond loopback
    such a page lacks the key.
    """
    if not loopback:
        return ()
    return (*_LOOPBACK, f"[{address}]" if ":" in address else address)


def _host(headers: Headers) -> str:
    """The Host header without its port."""
    host = headers.get("host", "").lower()
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
