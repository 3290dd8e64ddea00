"""HTTP as the client speaks it, within limits: no other host, no answer without an end."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import httpx2
import openai

from create_llm import responses
from create_llm.errors import NetworkError
from create_llm_openai.config import ServiceConfig

_PACKED = ("content-encoding", "content-length", "transfer-encoding")


class Connection(openai.DefaultHttpxClient):
    """Reads every answer to its end; streams are not asked for.

    Args:
        service: as messages call it.
    """

    def __init__(self, service: str, config: ServiceConfig) -> None:
        # The library reads the address of a redirect also where it does not follow it.
        hooks = {"response": [self._refuse_redirect]}
        with responses.by_any_proxy(service):
            super().__init__(follow_redirects=False, event_hooks=hooks)
        self._service, self._settings = service, config

    def send(self, request: httpx2.Request, **more: Any) -> httpx2.Response:
        """
        Raises:
            NetworkError: the answer is a redirect, does not end, or cannot be unpacked.
        """
        response = super().send(request, **{**more, "stream": True})
        longest = max(self._settings.timeout, responses.LONGEST)
        with closing(response):
            try:
                body = responses.whole(self._service, response.iter_bytes(), seconds=longest)
            except httpx2.DecodingError:
                raise self._error(
                    "answers with something that cannot be unpacked", "check base_url"
                ) from None
        headers = [(n, text) for n, text in response.headers.multi_items() if n not in _PACKED]
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)

    def _refuse_redirect(self, response: httpx2.Response) -> None:
        if 300 <= response.status_code < 400:
            host = responses.host_of(response.headers.get("location", ""))
            raise self._error(
                f"sends us on to {host}, and the key is not sent there",
                "if you trust that address, make it the base_url",
            )

    def _error(self, does: str, fix: str) -> NetworkError:
        where = self._settings.base_url
        return NetworkError(f"{self._service} {does}", where=where, fixes=(fix,))
