"""What a page asks of a run: read, checked and carried out."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest

from create_llm.runs.control import Control, Request
from create_llm_dashboard.reading import ReadRun

_BODY_BYTES = 1024
_BODY_SECONDS = 5.0
_THREADS = 4


class Asking:
    """Its threads are its own: what pages look up never keeps a request waiting."""

    def __init__(self) -> None:
        self._threads = CapacityLimiter(_THREADS)

    async def send(self, request: HttpRequest, run: Callable[[], ReadRun]) -> Request:
        """Ask the run what the body says; returns that.

        Raises:
            HTTPException: it says nothing of the kind, or not in time, or the run is not live.
        """
        asked = _asked(await _body(request))
        await anyio.to_thread.run_sync(lambda: _send(run(), asked), limiter=self._threads)
        return asked


def _send(run: ReadRun, asked: Request) -> None:
    if not run.is_live():
        raise HTTPException(409, f"run {run.name} is not live: it is {run.status()}")
    Control(run.folder.path).send(asked)


def _asked(body: bytes) -> Request:
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        return Request(json.loads(body)["request"])
    raise HTTPException(400, f"ask for one of: {', '.join(asked.value for asked in Request)}")


async def _body(request: HttpRequest) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > _BODY_BYTES:
                    raise HTTPException(413, "that is too long")
    except TimeoutError as error:
        raise HTTPException(408, "that did not come to its end") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "that broke off") from error
    return bytes(body)
