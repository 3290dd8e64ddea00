"""A web server on the loopback interface that answers by a script and misbehaves as told.

    with Loopback() as server:
        server.on("POST", "/v1/things", reply(200, {"id": 1}))      # each time
        server.first("POST", "/v1/things", reply(429, headers={"Retry-After": "1"}), reset())
        …
        assert [request.path for request in server.requests] == [...]

Faults come first, in their order, one to a request; then the standing answer, which may be another
server's (`forwarded`). A path ends in `*` where all below it are meant. Every request is kept as it
came, the ones of faults too.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    """A request as it came. `path` is without the query; `headers` are found in any case; `body` is
    what was read of it."""

    method: str
    path: str
    query: str
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What goes back.

    Attributes:
        reset_after: bytes of the request's body after which the connection is torn down; a float
            is the share of them.
        drop_after: bytes of the answer after which it is.
        stall: seconds of silence before the answer, which nobody may be waiting for any more.
        drip: seconds after each byte of the answer.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    reset_after: int | float | None = None
    drop_after: int | None = None
    stall: float = 0.0
    drip: float = 0.0


Answer = Reply | Callable[[Request], Reply]


def reply(
    status: int = 200, body: object = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """An answer; whatever is not bytes or text goes as JSON."""
    kind = "application/json"
    if isinstance(body, (bytes, str)):
        data, kind = body.encode() if isinstance(body, str) else body, "text/plain"
    else:
        data = b"" if body is None else json.dumps(body).encode()
    return Reply(status, data, {"Content-Type": kind, **(headers or {})})


def too_many(seconds: float, *, as_date: bool = False, status: int = 429) -> Reply:
    """Come back later: by seconds, or by a date, which has whole seconds only."""
    when = formatdate(time() + seconds, usegmt=True) if as_date else f"{seconds:g}"
    return reply(status, {"error": {"message": "slow down"}}, {"Retry-After": when})


def redirect(url: str, status: int = 307) -> Reply:
    return reply(status, None, {"Location": url})


def reset(after: int | float = 0) -> Reply:
    """The connection breaks once so many bytes, or such a share, of the request have come."""
    return Reply(reset_after=after)


def dropped(body: object, after: int) -> Reply:
    """An answer that breaks off after so many bytes of its body."""
    whole = reply(200, body)
    return Reply(200, whole.body, whole.headers, drop_after=after)


def torn(answer: Answer, share: float) -> Answer:
    """An answer that breaks off after such a share of its body."""

    def answered(request: Request) -> Reply:
        whole = made(answer, request)
        return replace(whole, drop_after=int(share * len(whole.body)))

    return answered


def lost(answer: Answer) -> Answer:
    """The request is carried out, and the connection breaks before anything is said."""

    def answered(request: Request) -> Reply:
        made(answer, request)
        return reset()

    return answered


def forwarded(url: str) -> Answer:
    """What the server at `url` says, so that one that speaks a protocol meets these faults too."""
    there = urlsplit(url)

    def answered(request: Request) -> Reply:
        connection = http.client.HTTPConnection(str(there.hostname), there.port, timeout=30)
        place = f"{request.path}?{request.query}" if request.query else request.path
        own = ("host", "content-length", "transfer-encoding", "connection")
        headers = {name: text for name, text in request.headers.items() if name.lower() not in own}
        with contextlib.closing(connection):
            connection.request(request.method, place, request.body, headers)
            answer = connection.getresponse()
            whole = {name: text for name, text in answer.getheaders() if name != "Date"}
            return Reply(answer.status, answer.read(), whole)

    return answered


def made(answer: Answer, request: Request) -> Reply:
    """The reply to a request."""
    return answer if isinstance(answer, Reply) else answer(request)


def dripping(seconds: float, body: bytes) -> Reply:
    """An answer of which each byte takes so long: no pause of it is silence."""
    return Reply(200, body, {"Content-Type": "application/json"}, drip=seconds)


def stalled(seconds: float) -> Reply:
    """Nothing for so long; the server's end cuts it short."""
    return Reply(503, stall=seconds)


class Loopback:
    """The server; a context manager. `url` has no slash at its end."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._answers: dict[tuple[str, str], Answer] = {}
        self._first: dict[tuple[str, str], deque[Answer]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def on(self, method: str, path: str, answer: Answer) -> None:
        """The standing answer to a method ("*" for any) and path."""
        self._answers[method, path] = answer

    def first(self, method: str, path: str, *answers: Answer) -> None:
        """Answers to the next requests, before the standing one."""
        self._first.setdefault((method, path), deque()).extend(answers)

    def calm(self) -> int:
        """No more faults; returns how many were still to come."""
        with self._lock:
            left = sum(map(len, self._first.values()))
            self._first.clear()
        return left

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests that came for a method and path."""
        with self._lock:
            return [r for r in self.requests if _fits((method, path), r.method, r.path)]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, method: str, path: str) -> Answer:
        """The answer whose turn it is; 404 where nothing is scripted."""
        with self._lock:
            for pattern, queue in self._first.items():
                if queue and _fits(pattern, method, path):
                    return queue.popleft()
            for pattern in sorted(self._answers, key=lambda pattern: "*" in "".join(pattern)):
                if _fits(pattern, method, path):
                    return self._answers[pattern]
        return reply(404, {"error": {"message": f"nothing at {method} {path}"}})

    def note(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def wait(self, seconds: float) -> None:
        """Seconds of silence, fewer if the server is closed."""
        self._over.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that break off are what tests are about."""


def _fits(pattern: tuple[str, str], method: str, path: str) -> bool:
    wanted, place = pattern
    below = place.endswith("*") and path.startswith(place[:-1])
    return wanted in ("*", method) and (below or place == path)


def _handler_of(server: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _serve(server, self)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def _serve(server: Loopback, handler: BaseHTTPRequestHandler) -> None:
    path, _, query = handler.path.partition("?")
    answer = server.take(handler.command, path)
    limit = answer.reset_after if isinstance(answer, Reply) else None
    body = b"".join(_body(handler, limit))
    request = Request(handler.command, path, query, handler.headers, body)
    server.note(request)
    reply = made(answer, request)
    if reply.reset_after is not None:
        _tear(handler)
        return
    if reply.stall:
        server.wait(reply.stall)
        handler.close_connection = True
        return
    _send(server, handler, reply)


def _body(handler: BaseHTTPRequestHandler, limit: int | float | None) -> Iterator[bytes]:
    """The body by its length or in chunks, no more than `limit` bytes of it."""
    left = float("inf") if limit is None else limit
    if handler.headers.get("Transfer-Encoding", "").lower() == "chunked":
        while left > 0 and (size := int(handler.rfile.readline().split(b";")[0], 16)):
            yield handler.rfile.read(size)
            left -= size
            handler.rfile.readline()
        if left > 0:
            handler.rfile.readline()
        return
    length = int(handler.headers.get("Content-Length") or 0)
    left = int(length * left) if isinstance(limit, float) else left
    yield handler.rfile.read(int(min(length, left)))


def _send(server: Loopback, handler: BaseHTTPRequestHandler, made: Reply) -> None:
    handler.send_response(made.status)
    for name, value in {"Content-Length": str(len(made.body)), **made.headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        body = made.body[: made.drop_after]
        size = 1 if made.drip else max(len(body), 1)
        for start in range(0, len(body), size):
            handler.wfile.write(body[start : start + size])
            server.wait(made.drip)
    if made.drop_after is not None:
        handler.wfile.flush()
        _tear(handler)


def _tear(handler: BaseHTTPRequestHandler) -> None:
    """Close with a reset instead of a goodbye."""
    handler.close_connection = True
    linger = struct.pack("ii", 1, 0)
    with contextlib.suppress(OSError):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        handler.connection.close()
