"""What no polite client sends, and what happens to the work when one goes away."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import ExitStack

import pytest

from create_llm_serve.limits import Limits

from .conftest import running

COMPLETIONS = "/v1/completions"
JSON = {"Content-Type": "application/json"}
FOREVER = {"prompt": "a", "max_tokens": 1_000_000}


def status(server):
    return json.loads(server.ask("GET", "/healthz")[2])


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt":',
        b"[1]",
        b"",
        b'{"prompt": "\xff\xfe"}',
        rb'{"prompt": "\ud800"}',
        b'{"prompt": "a", "temperature": NaN}',
        b'{"prompt": "a", "temperature": 1e999}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_request(server, body):
    code, error = server.error("POST", COMPLETIONS, body, **JSON)
    assert code == 400
    assert error["type"] == "invalid_request_error"


def test_every_error_has_openais_form(server):
    assert server.error("GET", "/v1/nothing")[0] == 404
    assert server.error("GET", COMPLETIONS)[0] == 405
    code, error = server.error("POST", COMPLETIONS, b"{}", **{"Content-Type": "text/plain"})
    assert code == 415
    assert set(error) == {"message", "type", "param", "code"}


def test_a_page_of_another_name_gets_nothing(server):
    for host in ("evil.com", "evil.com:8000", "localhost.evil.com", "127.0.0.1.evil.com"):
        assert server.error("GET", "/v1/models", Host=host)[0] == 403
        assert server.error("GET", "/healthz", Host=host)[0] == 403
    for host in ("localhost", "LOCALHOST:8000", f"127.0.0.1:{server.port}", "[::1]:8000"):
        assert server.ask("GET", "/v1/models", Host=host)[0] == 200


def test_no_page_of_the_web_is_let_in(server):
    _, headers, _ = server.ask("OPTIONS", COMPLETIONS, Origin="http://evil.com")
    _, more, _ = server.ask("GET", "/v1/models", Origin="http://evil.com")
    assert not [name for name in (*headers, *more) if name.lower().startswith("access-control")]


def test_the_key_in_any_other_form(start):
    served = start(key="right")
    for given in ({}, {"Authorization": "right"}, {"Authorization": "Basic right"}):
        code, error = served.error("POST", COMPLETIONS, FOREVER, **given)
        assert (code, error["code"]) == (401, "invalid_api_key")
    assert served.error("GET", "/v1/models", Authorization="Bearer r\xefght")[0] == 401
    assert served.ask("GET", "/v1/models", Authorization="bearer right")[0] == 200
    assert status(served)["status"] == "ok"


@pytest.mark.parametrize("size", [1001, 5000])
def test_too_large_a_body(start, size):
    served = start(limits=Limits(body_bytes=1000))
    code, error = served.error("POST", COMPLETIONS, b" " * size, **JSON)
    assert (code, error["code"]) == (413, "too_large")


def test_a_body_without_an_end_is_cut_off(start):
    served = start(limits=Limits(body_bytes=1000))
    part = b"400\r\n" + b" " * 1024 + b"\r\n"
    with (
        connected(served, "Transfer-Encoding: chunked") as client,
        pytest.raises((BrokenPipeError, ConnectionResetError)),
    ):
        client.sendall(part * 100_000)


def test_a_body_that_does_not_come(start):
    served = start(limits=Limits(body_seconds=0.2))
    with connected(served, "Content-Length: 10") as client:
        assert client.recv(1000).startswith(b"HTTP/1.1 408")


def test_a_client_that_leaves_a_stream_ends_its_work(start):
    served = start()
    with connected(served, *asking({**FOREVER, "stream": True})) as client:
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        served.until(lambda: status(served)["running"] == 1)
    served.until(lambda: status(served)["running"] == 0)


def test_a_client_that_leaves_before_its_answer_ends_its_work(start):
    served = start()
    with connected(served, *asking(FOREVER)):
        served.until(lambda: status(served)["running"] == 1)
    served.until(lambda: status(served)["running"] == 0)


def test_a_client_that_does_not_read_ends_with_the_time(start, monkeypatch):
    monkeypatch.setattr("create_llm_serve.app._LAST_WORDS_SECONDS", 0.1)
    served = start(limits=Limits(seconds=1, texts=1000))
    body = {"prompt": ["a"] * 200, "max_tokens": 10**6, "stream": True}
    with connected(served, *asking(body)):
        served.until(lambda: status(served)["running"] > 0)
        served.until(lambda: status(served)["running"] == 0)


def test_what_does_not_end_is_cut_off_when_the_server_ends(tmp_path, capfd):
    limits = Limits(grace_seconds=0.5)
    with ExitStack() as clients, running(tmp_path, limits=limits) as served:
        sent = [asking(body) for body in (FOREVER, {**FOREVER, "stream": True})]
        whole, stream = (clients.enter_context(connected(served, *each)) for each in sent)
        served.until(lambda: status(served)["running"] == 2)
        served.server.should_exit = True
        assert b"HTTP/1.1 503" in (answer := all_of(whole))
        assert b'"code":"server_shutdown"' in answer
        last = all_of(stream).rpartition(b"data: ")[2]
        assert json.loads(last.splitlines()[0])["error"]["code"] == "server_shutdown"
    told = capfd.readouterr().err
    assert "2 requests were cut off after 0.5 seconds" in told
    assert "Traceback" not in told


def test_a_client_that_says_nothing_cannot_keep_the_server(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("create_llm_serve.server._LAST_WORDS_SECONDS", 0.1)
    limits = Limits(grace_seconds=0.1)
    with (
        running(tmp_path, limits=limits) as served,
        connected(served, "Content-Length: 10"),
    ):
        served.until(lambda: served.server.server_state.tasks)
        served.server.should_exit = True
        served.until(lambda: not served.service.worker.alive)
    assert "Traceback" not in capfd.readouterr().err


def test_texts_are_written_together_as_many_as_may_be(start):
    served = start(limits=Limits(batch_size=6))
    seen = []

    def at_once():
        seen.append(status(served)["running"])
        return seen[-1]

    with ExitStack() as stack:
        for _ in range(9):
            stack.enter_context(connected(served, *asking(FOREVER)))
        served.until(lambda: at_once() == 6)
    served.until(lambda: at_once() == 0)
    assert max(seen) == 6


def test_a_request_that_takes_too_long(start):
    served = start(limits=Limits(seconds=0.3))
    served.module.gate.clear()
    code, headers, body = served.ask("POST", COMPLETIONS, FOREVER)
    assert (code, headers["x-should-retry"]) == (504, "false")
    assert json.loads(body)["error"]["code"] == "timeout"
    served.module.gate.set()
    served.until(lambda: status(served)["running"] == 0)


def test_too_many_requests(start):
    served = start(limits=Limits(requests=3))

    def is_full():
        return served.ask("GET", "/v1/models")[0] == 429

    answers = together(served, 3, is_full)
    assert [code for code, _, _ in answers] == [200] * 3
    served.until(lambda: not is_full())


def test_a_bug_is_told_of_without_details(start):
    served = start()
    served.module.broken = True
    code, error = served.error("POST", COMPLETIONS, {"prompt": "a"})
    assert (code, error["type"]) == (500, "server_error")
    assert "secret" not in json.dumps(error)
    served.module.broken = False
    assert served.ask("POST", COMPLETIONS, {"prompt": "a"})[0] == 200


def together(served, count, until):
    """The answers to requests that all wait at the gate until something holds."""
    served.module.gate.clear()
    answers = []

    def ask():
        answers.append(served.ask("POST", COMPLETIONS, {"prompt": "a"}))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        served.until(until)
    finally:
        served.module.gate.set()
        for thread in threads:
            thread.join(30)
    return answers


def all_of(client):
    """What comes until the server closes."""
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def asking(body):
    """A request as `connected` takes it."""
    sent = json.dumps(body).encode()
    return f"Content-Length: {len(sent)}", sent


def connected(served, header, body=b""):
    """A connection that has sent the head of a request, and maybe all of it."""
    client = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    client.sendall(
        f"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\n{header}\r\n\r\n".encode()
        + body
    )
    return client


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("chat/completions", {"messages": []}, "messages must not be empty"),
        ("chat/completions", {}, "messages is missing"),
        ("chat/completions", {"messages": ["hi"]}, "messages[0] must be an object"),
        ("completions", {"prompt": []}, "prompt must not be empty"),
        ("completions", {"n": 0}, "n must be at least 1"),
        ("completions", {"n": "x"}, "n must be a whole number"),
        ("completions", {"stop": ["a"] * 20}, "stop may have 16 entries at most, got 20"),
    ],
)
def test_what_is_wrong_with_a_value_in_plain_words(server, path, body, words):
    code, error = server.error("POST", f"/v1/{path}", body)
    assert (code, error["message"]) == (400, words)


def test_an_address_that_is_not_there_names_one_that_is(server):
    assert "GET /v1/models" in server.error("GET", "/")[1]["message"]
    assert "use POST" in server.error("GET", COMPLETIONS)[1]["message"]
