"""What services send, within limits."""

from __future__ import annotations

import time

import pytest

from create_llm.errors import NetworkError
from create_llm.responses import host_of, one_line, whole


def test_pieces_come_as_one():
    assert whole("sea", [b"a", b"", b"bc"]) == b"abc"
    assert whole("sea", []) == b""


def endless():
    while True:
        yield b" " * 1024


def test_a_flood_ends():
    with pytest.raises(NetworkError, match="sea sends more than 32 MB"):
        whole("sea", endless())


def test_drops_without_end_end(monkeypatch):
    now = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    with pytest.raises(NetworkError, match="after 20 s"):
        whole("sea", endless(), seconds=20)
    assert next(now) == 22


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://example.org:8443/v1?key=x", "example.org:8443"),
        ("http://user:canary@example.org/x", "example.org"),
        ("//canary@example.org", "example.org"),
        ("http://[bad/", "another address"),
        ("http://example.org:port/", "another address"),
        ("/elsewhere", "another address"),
        ("", "another address"),
    ],
)
def test_of_an_address_only_host_and_port_are_named(address, host):
    assert host_of(address) == host


def test_what_a_service_says_is_one_line_of_characters():
    assert one_line(" no\n such\tmodel\u2028 ") == "no such model"
    assert one_line("\x1b]0;owned\x07\ud800\u202e") == "�]0;owned���"
