"""How requests get to Replicate, and what of its answers comes back."""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from create_llm.errors import CreateLLMError, NetworkError
from create_llm.responses import LONGEST, by_any_proxy, host_of, whole
from create_llm.retries import AGAIN, Transient, retry_after

NAME = "Replicate"
_BUSY = AGAIN - {409}
"""409 is its answer where a model is there already."""


class Busy(Transient):
    """An answer that says: later."""

    def __init__(self, status: int, after: float | None) -> None:
        super().__init__(f"it answers {status}", after)
        self.status = status


class Transport(httpx.HTTPTransport):
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
            raise Busy(response.status_code, retry_after(response.headers.get("Retry-After")))
        if 300 <= response.status_code < 400:
            response.close()
            raise _elsewhere(response.headers.get("Location", ""), self._url)
        with contextlib.closing(response):
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise httpx.DecodingError("it was asked not to pack its answers")
            body = whole(NAME, response.iter_raw(), seconds=LONGEST)
        return httpx.Response(response.status_code, headers=response.headers, content=body)


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
