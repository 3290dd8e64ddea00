"""The endpoints."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from create_llm.errors import CreateLLMError
from create_llm.models.writing import Piece
from create_llm_serve.answers import Answer, ChatForm, Form, TextForm, without_space_in_front
from create_llm_serve.guard import Guard
from create_llm_serve.limits import Limits
from create_llm_serve.problems import ApiError, problem_of
from create_llm_serve.requests import ChatRequest, CompletionRequest, Request, parse
from create_llm_serve.service import Service
from create_llm_serve.worker import Job, Text

_DISCARDED = 16
"""Times the allowed size: as much of a body is read and thrown away, so that the client hears why
it is refused; one that goes on after that is cut off."""
_LARGE = 1 << 16
"""Bytes of a body from which its parsing would make every stream stutter."""
_LAST_WORDS_SECONDS = 5
_GONE = 499

R = TypeVar("R", bound=Request)


def create_app(service: Service, *, hosts: Sequence[str] = (), key: str | None = None) -> Starlette:
    """The server as an ASGI application.

    Args:
        hosts: names that the Host header may have; empty for any.
        key: that requests must bring, if any.
    """
    endpoints = _Endpoints(service)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with service.running():
            yield

    return Starlette(
        routes=[
            Route("/healthz", endpoints.health),
            Route("/v1/models", endpoints.models),
            Route("/v1/models/{name:path}", endpoints.model),
            Route("/v1/completions", endpoints.complete, methods=["POST"]),
            Route("/v1/chat/completions", endpoints.chat, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, hosts=hosts, key=key, most=service.limits.requests)],
        exception_handlers={
            ApiError: _told,
            CreateLLMError: _told,
            HTTPException: _told,
            ClientDisconnect: _nobody_there,
            Exception: _told,
        },
        lifespan=lifespan,
    )


class _Endpoints:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, request: HttpRequest) -> Response:
        worker = self._service.worker
        told = {"status": "ok" if worker.alive else "failed", "running": worker.running}
        return JSONResponse(told, 200 if worker.alive else 503)

    async def models(self, request: HttpRequest) -> Response:
        return JSONResponse({"object": "list", "data": [self._described()]})

    async def model(self, request: HttpRequest) -> Response:
        name, here = request.path_params["name"], self._service.name
        if name != here:
            raise ApiError(
                404,
                f"there is no model '{name}' here, only '{here}'",
                code="model_not_found",
                param="model",
            )
        return JSONResponse(self._described())

    async def complete(self, request: HttpRequest) -> Response:
        asked = await _parsed(CompletionRequest, await _body(request, self._service.limits))
        texts = await self._service.completion(asked)
        return await self._answered(request, asked, texts, TextForm(asked.echo))

    async def chat(self, request: HttpRequest) -> Response:
        asked = await _parsed(ChatRequest, await _body(request, self._service.limits))
        texts = await self._service.chat(asked)
        return await self._answered(request, asked, texts, ChatForm())

    def _described(self) -> dict[str, object]:
        service = self._service
        created = {"created": service.created, "owned_by": "create-llm"}
        return {"id": service.name, "object": "model", **created}

    async def _answered(
        self, request: HttpRequest, asked: Request, texts: Sequence[Text], form: Form
    ) -> Response:
        answer = Answer(form, self._service.name, asked.stream_options.include_usage)
        if asked.stream:
            return _Events(self._service, texts, answer)
        with self._service.job(texts) as job:
            watch = asyncio.create_task(_watch(request, job))
            try:
                return JSONResponse(await answer.whole(job, _pieces(job, form)))
            finally:
                watch.cancel()


class _Events(StreamingResponse):
    """An answer as it is written. A client that goes ends the work."""

    media_type = "text/event-stream"

    def __init__(self, service: Service, texts: Sequence[Text], answer: Answer) -> None:
        # The second header keeps proxies from waiting for the whole.
        super().__init__((), headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        self._service, self._texts, self._answer = service, texts, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Sending waits for whoever does not read: that ends as well.
        until = self._service.limits.seconds + _LAST_WORDS_SECONDS
        with self._service.job(self._texts) as job, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(until):
                pieces = _pieces(job, self._answer.form)
                self.body_iterator = self._answer.events(job, pieces)
                await super().__call__(scope, receive, send)


def _pieces(job: Job, form: Form) -> AsyncIterator[Piece]:
    return without_space_in_front(job.pieces()) if isinstance(form, ChatForm) else job.pieces()


async def _watch(request: HttpRequest, job: Job) -> None:
    """End a job when nobody waits for it any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    job.receive(ApiError(_GONE, "the client has gone"))


async def _parsed(kind: type[R], body: bytes) -> R:
    """
    Raises:
        ApiError: the body holds no such request.
    """
    if len(body) < _LARGE:
        return parse(kind, body)
    return await asyncio.to_thread(parse, kind, body)


async def _body(request: HttpRequest, limits: Limits) -> bytes:
    """
    Raises:
        ApiError: it is no JSON, too large, or too slow.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A page of the web may send other kinds anywhere without asking first.
        raise ApiError(415, "send JSON, with the header 'Content-Type: application/json'")
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _bounded(request, limits.body_bytes)
    except TimeoutError as error:
        raise ApiError(
            408, f"the body took longer than {limits.body_seconds:g} seconds", headers=_CLOSE
        ) from error


async def _bounded(request: HttpRequest, most: int) -> bytes:
    size, kept = 0, bytearray()
    async for part in request.stream():
        size += len(part)
        if size <= most:
            kept += part
        elif size > _DISCARDED * most:
            break
    if size > most:
        raise ApiError(
            413, f"the body is larger than {most:,} bytes", code="too_large", headers=_CLOSE
        )
    return bytes(kept)


_CLOSE = {"connection": "close"}


async def _told(request: HttpRequest, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        wrong = f"{request.method} {request.url.path}: {_words(error)}"
        return ApiError(error.status_code, wrong, headers=error.headers).response()
    return problem_of(error).response()


def _words(error: HTTPException) -> str:
    if error.status_code == 404:
        return "there is nothing here; GET /v1/models says which model there is"
    if error.status_code == 405:
        return f"not by this method; use {(error.headers or {}).get('Allow', 'another')}"
    return error.detail


async def _nobody_there(request: HttpRequest, error: Exception) -> Response:
    return Response(status_code=_GONE)
