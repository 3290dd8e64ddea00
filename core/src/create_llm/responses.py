"""Asking a service by HTTP, whatever it or the way to it is like: answers are read within limits,
and addresses are named without what they may hide."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from create_llm.errors import NetworkError

MOST_BYTES = 32 << 20
"""Of one answer, unpacked: a hundred times what any call here brings that is well."""
LONGEST = 600.0
"""Seconds for one answer. Services that think first keep a connection alive with blanks; one that
never comes to an end would hold the command for ever, as no pause of it is long."""


def bounded(
    service: str,
    chunks: Iterable[bytes],
    *,
    seconds: float = LONGEST,
    most: int = MOST_BYTES,
) -> Iterator[bytes]:
    """The body of an answer, as it comes.

    Args:
        service: as messages call it.
        chunks: unpacked; none waits for more than the connection has.

    Raises:
        NetworkError: it is too large, or takes too long.
    """
    until, size = time.monotonic() + seconds, 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise _endless(service, f"sends more than {most >> 20} MB at once")
        if time.monotonic() > until:
            raise _endless(service, f"is not done with an answer after {seconds:.0f} s")
        yield chunk


def whole(service: str, chunks: Iterable[bytes], *, seconds: float = LONGEST) -> bytes:
    """As `bounded`, in one piece."""
    return b"".join(bounded(service, chunks, seconds=seconds))


def one_line(text: str) -> str:
    """What a service says, without what commands a terminal or is no character at all."""
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)


@contextlib.contextmanager
def by_any_proxy(service: str) -> Iterator[None]:
    """Around what makes a client: it finds the proxy in the environment, and may be unable to use
    it.

    Raises:
        NetworkError: it is.
    """
    try:
        yield
    except (ImportError, ValueError):
        # Never "from": the address of a proxy may hold a password.
        raise NetworkError(
            f"{service} cannot be asked through the proxy that is set",
            where="HTTPS_PROXY, HTTP_PROXY or ALL_PROXY in the environment",
            fixes=("name one of http:// or https://", "or leave it out for that host: NO_PROXY=…"),
        ) from None


def host_of(address: str) -> str:
    """Host and port of an address from outside: neither its user and password nor its query."""
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "another address"
    return f"{parts.hostname}{port}" if parts.hostname else "another address"


def is_this_machine(host: str) -> bool:
    """Whether what is sent there never leaves the machine, so that http is as good as https."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _endless(service: str, does: str) -> NetworkError:
    return NetworkError(
        f"{service} {does}",
        where=service,
        fixes=("check its address", "run the same command again later"),
    )
