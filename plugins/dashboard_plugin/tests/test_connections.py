"""Connections that ask for nothing, or never come to an end, keep nobody out."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from create_llm_dashboard import asking, connections
from create_llm_dashboard.panel import Panel, View

from .conftest import RUN, Served, Story

Serve = Callable[..., Served]
THREADS = 40
"""That the server looks things up in, as anyio has it."""
CHART = "/charts/bokeh.min.js"
CONTROL = f"/runs/{RUN}/control"


@contextmanager
def connected(served: Served, sent: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", served.port), 20) as connection:
        connection.sendall(sent.encode())
        yield connection


def is_closed(connection: socket.socket) -> bool:
    """Waits for what comes, and whether that is the end."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def post(served: Served, length: int) -> str:
    return (
        f"POST {CONTROL} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
        f"Cookie: {served.cookie}\r\nContent-Length: {length}\r\n\r\n"
    )


def test_three_hundred_half_requests_keep_nobody_out(story: Story, serve: Serve):
    served = serve()
    with ExitStack() as stack:
        for sent in ("", "GET / HTTP/1.1\r\nHost: loc") * 150:
            stack.enter_context(connected(served, sent))
        assert served.ask("/static/app.js").status == 200
        assert served.ask("/static/app.js", Cookie="").status == 401


@pytest.mark.parametrize("sent", ["", "GET / HTTP/1.1\r\nHost: loc"])
def test_half_a_request_is_not_waited_for(
    story: Story, serve: Serve, sent: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with connected(serve(), sent) as connection:
        assert is_closed(connection)


def test_a_page_that_reads_is_not_sent_away(
    story: Story, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connections, "MOST_STRANGERS", 1)
    served = serve()
    story.start()
    with served.news(f"/runs/{RUN}/stream") as news, ExitStack() as stack:
        next(news)
        waiting = [stack.enter_context(connected(served, "")) for _ in range(5)]
        assert all(map(is_closed, waiting))
        story.step(77)
        assert any(event["data"].get("step") == 77 for event in news)


def test_an_answer_that_is_read_slowly_comes_to_its_end(
    story: Story, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    served = serve()
    served.serving.listener.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17
    )  # for all it takes
    asked = f"GET {CHART} HTTP/1.1\r\nHost: localhost\r\nCookie: {served.cookie}\r\n\r\n"
    with connected(served, asked) as connection:
        time.sleep(0.5)
        got = bytearray()
        while part := connection.recv(1 << 20):
            got += part
    head, _, body = bytes(got).partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    assert len(body) == length > 1_000_000


def test_a_body_that_never_comes_is_not_waited_for(
    story: Story, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(asking, "_BODY_SECONDS", 0.3)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    served = serve()
    with story.live(), connected(served, post(served, 100) + '{"req') as connection:
        assert b" 408 " in connection.recv(65536)
        assert is_closed(connection)
    assert not (story.folder.path / "control").exists()


def test_a_body_that_breaks_off_is_nothing(
    story: Story, serve: Serve, caplog: pytest.LogCaptureFixture
):
    served = serve()
    with story.live():
        with connected(served, post(served, 100) + '{"req'):
            pass
        assert served.ask(CONTROL, "POST", {"request": "pause"}).status == 200
    assert not caplog.records


def test_a_request_does_not_wait_behind_what_pages_look_up(
    tmp_path: Path, story: Story, serve: Serve
):
    """More looks that take long than there are threads for them."""
    names = [f"2026010{n}-000000" for n in range(2, 9)]
    for name in names:
        Story(tmp_path, name).start()
    served, go_on, waits = serve(), threading.Event(), threading.Semaphore(0)

    def slow(view: View) -> dict[str, object]:
        waits.release()
        go_on.wait(60)
        return {}

    served.serving.service.panels = {"slow": Panel("Slow", 5, slow, Path(__file__))}
    chosen = [names[i:j] for i in range(7) for j in range(i + 1, 8)]
    chosen += [names[i:j][::-1] for i in range(6) for j in range(i + 2, 8)]
    with story.live(), ExitStack() as stack:
        stack.callback(go_on.set)
        for others in chosen:
            stack.enter_context(
                connected(
                    served,
                    f"GET /runs/{RUN}/stream?with={'&with='.join(others)} HTTP/1.1\r\n"
                    "Host: localhost\r\n"
                    f"Cookie: {served.cookie}\r\n\r\n",
                )
            )
        for _ in range(THREADS):
            assert waits.acquire(timeout=20)
        assert served.ask(CONTROL, "POST", {"request": "pause"}).status == 200


@pytest.mark.parametrize(
    "name", ["a#b", "a?b", "%41", "100%", "a b", "ü", "a&b", "a;b", "a,b", "a+b"]
)
def test_a_run_of_any_name_is_found(tmp_path: Path, serve: Serve, name: str):
    for each in (name, "other"):
        Story(tmp_path, each).start()
    served = serve(meant=name, others=(name, "other"))
    page = served.ask("/").headers["location"]
    assert served.ask(page).status == 200
    assert b'value="other" checked' in served.ask(page).body
    served.serving.service.meant, served.serving.service.others = "other", (name,)
    page = served.ask("/").headers["location"].replace("/runs/other", "/runs/other/panels/curves")
    assert [run["name"] for run in served.ask(page).json["runs"]] == ["other", name]


PIPELINED = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5000


def test_strangers_get_one_answer_however_much_they_ask(outside: Served):
    with connected(outside, "") as connection:
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # it is closed while it is still sent to
            connection.send(PIPELINED)
        connection.settimeout(20)
        got = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                got += part
    assert got.count(b"HTTP/1.1 401") <= 1


@pytest.mark.parametrize("headers", [{}, {"Host": "evil.com"}])
def test_who_is_refused_is_told_that_the_connection_ends(outside: Served, headers: dict[str, str]):
    assert outside.ask("/", **headers).headers["connection"] == "close"
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert outside.ask("/", **link, **headers).headers["connection"] == "close"


def test_whoever_was_let_in_keeps_the_connection_while_strangers_come(
    story: Story, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "MOST_STRANGERS", 2)
    served = serve()
    own = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    with contextlib.closing(own), ExitStack() as stack:
        own.request("GET", "/static/kit.js", headers={"Cookie": served.cookie})
        assert own.getresponse().read()
        socket_of = own.sock
        strangers = [stack.enter_context(connected(served, "")) for _ in range(6)]
        assert all(map(is_closed, strangers[:4]))
        own.request("GET", "/static/kit.js", headers={"Cookie": served.cookie})
        assert own.getresponse().status == 200
        assert own.sock is socket_of  # http.client would connect again


def test_strangers_that_take_no_answer_count(
    story: Story, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    """One whose answer waits to be taken is closed for a newer one, as one that asks nothing is."""
    monkeypatch.setattr(connections, "MOST_STRANGERS", 2)
    monkeypatch.setattr("create_llm_dashboard.access.page", lambda *_, **__: "x" * (1 << 24))
    served = serve()
    asked = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        first = stack.enter_context(connected(served, asked))
        assert first.recv(1)
        for _ in range(2):
            assert stack.enter_context(connected(served, asked)).recv(1)
        assert received(first) < 1 << 24


def test_an_answer_that_is_not_taken_is_not_waited_for(
    story: Story, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("create_llm_dashboard.access.page", lambda *_, **__: "x" * (1 << 24))
    served = serve(inside=False)
    with connected(served, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert connection.recv(1)
        time.sleep(1)
        assert received(connection) < 1 << 24


def received(connection: socket.socket) -> int:
    """Bytes that come before the end."""
    found = 0
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 20):
            found += len(part)
    return found


def test_strangers_get_a_share_of_the_files_that_may_be_open(monkeypatch: pytest.MonkeyPatch):
    resource = pytest.importorskip("resource")
    for files, most in ((1024, 128), (256, 32), (4, 1), (resource.RLIM_INFINITY, 128)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert connections.most_strangers() == most


ODD = {
    "no request": b"\x00\xff\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "too long": b"GET / HTTP/1.1\r\na: " + b"b" * 70_000,
    "TLS": b"\x16\x03\x01\x02\x00",
    "a websocket": b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\n\r\n",
    "a body that is none": b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
}


@pytest.mark.parametrize("sent", ODD.values(), ids=ODD)
def test_nobody_can_fill_the_log(outside: Served, capfd: pytest.CaptureFixture[str], sent: bytes):
    handler = logging.StreamHandler(sys.stderr)  # as without any: warnings and worse are shown
    logging.getLogger().addHandler(handler)
    try:
        with socket.create_connection(("127.0.0.1", outside.port), 20) as connection:
            connection.sendall(sent)
            assert is_closed(connection)
        assert outside.ask("/").status == 401
    finally:
        logging.getLogger().removeHandler(handler)
    assert capfd.readouterr().err == ""
