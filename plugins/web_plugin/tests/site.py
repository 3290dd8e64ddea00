"""A web server on the loopback interface that misbehaves where a test asks it to."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Page:
    """One text.

    Attributes:
        first: answers to the first requests, in the place of the text.
        drops: for each request after those, how many bytes come before the connection breaks.
        ranges: whether a part of it may be asked for.
    """

    body: bytes
    etag: str | None = ""
    modified: str | None = None
    kind: str | None = "text/plain"
    ranges: bool = True
    length: bool = True
    first: list[Answer] = field(default_factory=list)
    drops: list[int] = field(default_factory=list)

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        if self.first:
            self.first.pop(0)(request)
            return
        tag = self.etag if self.etag != "" else f'"{hashlib.sha256(self.body).hexdigest()[:8]}"'
        own = [name for name in (tag, self.modified) if name]
        wanted = request.headers
        if own and (wanted["If-None-Match"] in own or wanted["If-Modified-Since"] in own):
            request.send_response(304)
            request.end_headers()
            return
        begin = 0
        if self.ranges and wanted["Range"] and wanted["If-Range"] in own:
            begin = int(wanted["Range"].removeprefix("bytes=").removesuffix("-"))
        if begin > len(self.body):
            request.send_error(416)
            return
        request.send_response(206 if begin else 200)
        if begin:
            end = len(self.body)
            request.send_header("Content-Range", f"bytes {begin}-{end - 1}/{end}")
        for name, value in (
            ("ETag", tag),
            ("Last-Modified", self.modified),
            ("Content-Type", self.kind),
            ("Content-Length", str(len(self.body) - begin) if self.length else None),
        ):
            if value:
                request.send_header(name, value)
        request.end_headers()
        rest = self.body[begin:]
        request.wfile.write(rest[: self.drops.pop(0)] if self.drops else rest)
        request.close_connection = True


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """An answer with a status and headers, such as `Retry_After="1"`."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def endless(code: int = 200, **headers: str) -> Answer:
    """A body without an end."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in {"Content-Type": "text/plain", **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        with contextlib.suppress(OSError):
            while True:
                request.wfile.write(b"on and on, " * 1000)

    return answer


def stalls(body: bytes, length: int, etag: str, seconds: float) -> Answer:
    """A body of which a part comes, and then nothing for a while."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(length))
        request.send_header("ETag", etag)
        request.end_headers()
        request.wfile.write(body)
        time.sleep(seconds)
        request.close_connection = True

    return answer


def drips_body(length: int, etag: str) -> Answer:
    """A body that comes a byte at a time."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(length))
        request.send_header("ETag", etag)
        request.end_headers()
        _drip(request, b"a")

    return answer


def drips_headers(request: BaseHTTPRequestHandler) -> None:
    """A header that comes a byte at a time."""
    request.send_response(200)
    request.flush_headers()
    request.wfile.write(b"X-Long: ")
    _drip(request, b"a")


def _drip(request: BaseHTTPRequestHandler, byte: bytes) -> None:
    request.close_connection = True
    for _ in range(1000):  # OSError, once nobody listens
        request.wfile.write(byte)
        time.sleep(0.01)


@dataclass
class Site:
    """Pages by path (or by whole address, for a proxy), and all requests that came."""

    server: ThreadingHTTPServer
    pages: dict[str, Answer]
    seen: list[tuple[str, Mapping[str, str]]]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def put(self, path: str, body: bytes, **options: object) -> Page:
        page = Page(body, **options)  # type: ignore[arg-type]
        self.pages[path] = page
        return page

    def asked(self, header: str) -> list[str | None]:
        """The values of a header in all requests."""
        return [headers.get(header) for _, headers in self.seen]


@contextlib.contextmanager
def serving() -> Iterator[Site]:
    pages: dict[str, Answer] = {}
    seen: list[tuple[str, Mapping[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append((self.path, dict(self.headers)))
            answer = pages.get(self.path, status(404))
            with contextlib.suppress(OSError):
                answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Site(server, pages, seen)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
