"""The addresses of the page and what answers there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote, urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from create_llm_dashboard.access import Door, Guard
from create_llm_dashboard.asking import Asking
from create_llm_dashboard.looks import AT_A_TIME, LOOK_SECONDS, Look, Looks, attempted, encoded
from create_llm_dashboard.pages import STATIC, page
from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.reading import ReadRun, Runs
from create_llm_dashboard.system import System

_KEEP_ALIVE = 15
"""Looks without news after which a stream says that it is there: a reader that has gone is noticed
only by writing to it."""
_MOST_OTHERS = 8
_MOST_STREAMS = 64
_CHARTS = ("bokeh.min.js", "bokeh-api.min.js")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass
class Service:
    """What all requests share.

    Attributes:
        project: what the page is headed by.
        panels: by name, in the order of the page.
        meant: the run that `/` shows; by default the live or newest.
        streams: pages that are open.
    """

    project: str
    runs: Runs
    panels: Mapping[str, Panel]
    meant: str | None = None
    others: tuple[str, ...] = ()
    system: System = field(default_factory=System)
    looks: Looks = field(default_factory=Looks)
    streams: int = 0
    stopping: bool = False

    def first(self) -> ReadRun | None:
        """The run that `/` shows."""
        run = self.runs.called(self.meant) if self.meant else None
        return run or self.runs.meant()

    def read_ahead(self) -> None:
        """A first look at that run, while its page is still asked for and its scripts are read."""
        run = self.first()
        if run is not None:
            run.history.refresh(AT_A_TIME)


def create_app(service: Service, door: Door, *, hosts: Sequence[str], port: int) -> Starlette:
    """The page as an ASGI application."""
    endpoints = _Endpoints(service)
    return Starlette(
        routes=[
            Route("/", endpoints.home),
            Route("/runs/{run}", endpoints.run),
            Route("/runs/{run}/stream", endpoints.stream),
            Route("/runs/{run}/panels/{panel}", endpoints.panel),
            Route("/runs/{run}/control", endpoints.control, methods=["POST"]),
            Route("/panels/{panel}.js", endpoints.script),
            Route("/charts/{file}", _chart),
            Route("/static/{file:path}", _static),
        ],
        middleware=[Middleware(Guard, door=door, hosts=hosts, port=port)],
        exception_handlers={HTTPException: _told},
    )


class _Endpoints:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._asking = Asking()

    def home(self, request: Request) -> Response:
        service = self._service
        run = service.first()
        if run is None:
            return self._page(None, ())
        others = urlencode([("with", name) for name in service.others if name != run.name])
        query = f"?{others}" if others else ""
        return RedirectResponse(f"/runs/{quote(run.name, safe='')}{query}", 303)

    def run(self, request: Request) -> Response:
        return self._page(self._run(request), self._others(request))

    async def script(self, request: Request) -> Response:
        return _file(self._panel(request).script)

    def panel(self, request: Request) -> Response:
        panel, view = self._panel(request), self._view(request)
        return _json(attempted(partial(_read_and_told, panel, view)))

    async def stream(self, request: Request) -> Response:
        """News of all panels, for as long as somebody reads."""
        service = self._service
        if service.streams >= _MOST_STREAMS:
            raise HTTPException(
                429, f"{service.streams} pages of this dashboard are open: close some"
            )
        look = service.looks.at(await run_in_threadpool(self._view, request), service.panels)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._news(look), 200, headers, "text/event-stream")

    async def control(self, request: Request) -> Response:
        asked = await self._asking.send(request, lambda: self._run(request))
        return _json(encoded({"asked": asked.value}))

    async def _news(self, look: Look) -> AsyncIterator[bytes]:
        """What has changed since this reader was told last; looked up when it can take more, so
        that a slow reader misses steps in between and nothing piles up."""
        service = self._service
        service.streams += 1
        told: Mapping[str, bytes] = {}
        quiet = 0
        try:
            while not service.stopping:
                found = await look.found()
                news = [name for name, data in found.data.items() if told.get(name) != data]
                told = found.data
                quiet = 0 if news else quiet + 1
                if news:  # at once: writes to a reader that has gone are then not repeated
                    yield b"".join(_event(name, told[name]) for name in news)
                if quiet and quiet % _KEEP_ALIVE == 0:
                    yield b": still here\n\n"
                if found.whole:
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            service.streams -= 1

    def _page(self, run: ReadRun | None, others: Sequence[ReadRun]) -> Response:
        service = self._service
        text = page(
            "run.html",
            project=service.project,
            run=run.name if run else "",
            runs=[each.name for each in reversed(service.runs.all())],
            others=[other.name for other in others],
            panels=list(service.panels.items()),
        )
        return HTMLResponse(text, headers={"cache-control": "no-store"})

    def _view(self, request: Request) -> View:
        run, others = self._run(request), self._others(request)
        query, service = dict(request.query_params), self._service
        return View(run, others, service.runs, service.system, query, run.status())

    def _run(self, request: Request) -> ReadRun:
        run = self._service.runs.called(request.path_params["run"])
        if run is None:
            raise HTTPException(404, "there is no such run")
        return run

    def _others(self, request: Request) -> tuple[ReadRun, ...]:
        own = request.path_params["run"]
        names = request.query_params.getlist("with")
        wanted = dict.fromkeys(name for name in names if name != own)
        found = (self._service.runs.called(name) for name in list(wanted)[:_MOST_OTHERS])
        return tuple(run for run in found if run is not None)

    def _panel(self, request: Request) -> Panel:
        panel = self._service.panels.get(request.path_params["panel"])
        if panel is None:
            raise HTTPException(404, "there is no such panel")
        return panel


async def _static(request: Request) -> Response:
    path = _statics().get(request.path_params["file"])
    if path is None:
        raise HTTPException(404, "there is no such file")
    return _file(path)


@cache
def _statics() -> Mapping[str, Path]:
    """By their addresses: what a page asks for is never taken for a path."""
    found = (path for path in STATIC.rglob("*") if path.suffix in _TYPES)
    return {path.relative_to(STATIC).as_posix(): path for path in found}


def _file(path: Path) -> Response:
    """A small file, at once: a page asks for a dozen, and threads to read them in cost more."""
    headers = {"cache-control": "no-cache"}
    return Response(path.read_bytes(), 200, headers, _TYPES[path.suffix])


async def _chart(request: Request) -> Response:
    """The chart library, out of the package that is installed."""
    name = request.path_params["file"]
    if name not in _CHARTS:
        raise HTTPException(404, "there is no such file")
    headers = {"cache-control": "max-age=3600"}
    return Response(_library(name), 200, headers, _TYPES[".js"])


@cache
def _library(name: str) -> bytes:
    """Kept, since it is most of what a page loads (1.4 MB)."""
    path = distribution("bokeh").locate_file(f"bokeh/server/static/js/{name}")
    return Path(str(path)).read_bytes()


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _read_and_told(panel: Panel, view: View) -> Json:
    for run in (view.run, *view.others):
        run.history.refresh()
    return panel.data(view)


def _json(data: bytes) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(data, media_type="application/json", headers=headers)


def _event(panel: str, data: bytes) -> bytes:
    return b'data: {"panel":%b,"data":%b}\n\n' % (json.dumps(panel).encode(), data)
