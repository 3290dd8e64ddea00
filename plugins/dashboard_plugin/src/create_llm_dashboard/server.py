"""Where the page listens, and running it until it is asked to end, or nobody needs it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from create_llm import interrupts
from create_llm.errors import ConfigError, CreateLLMError
from create_llm.kernel.registry import Registry
from create_llm_dashboard.access import Door, hosts_of
from create_llm_dashboard.app import Service, create_app
from create_llm_dashboard.connections import HEAD_BYTES, MOST_STRANGERS, Connection
from create_llm_dashboard.panel import Panel

_TRIED = 50
"""Ports after the one that was asked for."""
_LOOK_SECONDS = 1.0
_AT_ONCE = max(MOST_STRANGERS // 4, 1)
"""Connections taken in one go. Whoever may see the page has said so within the next two, when there
are still fewer new ones than would close theirs."""
_IN_LINE = 2048
"""Connections that wait to be taken; where there is no room, one is tried again after seconds."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM."""

    certificate: Path
    key: Path


def tls_of(certificate: Path, key: Path) -> Tls:
    """
    Raises:
        ConfigError: they are no certificate and its key.
    """
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except OSError as error:  # which what TLS has to say is as well
        raise ConfigError(
            f"these are no certificate and its key: {error.strerror or error}",
            where=f"--certificate {certificate} --key {key}",
            fixes=("both in PEM, the key without a passphrase",),
        ) from error
    return Tls(certificate, key)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at the port, or at the next one that is free.

    Raises:
        ConfigError: there is no such address here, or none of these ports is to be had.
    """
    last = min(port + _TRIED, 65535) if port else 0
    for candidate in range(port, last + 1):
        try:
            return _socket(host, candidate)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise _no_address(host, error) from error
    raise ConfigError(
        f"none of the ports {port} to {last} can be listened at",
        where=f"--port {port}",
        fixes=("let any free one be taken: --port 0",),
    )


def told_if_taken(listener: socket.socket, port: int) -> str | None:
    """That it listens at another port than the one that was asked for, in words."""
    own: int = listener.getsockname()[1]
    return f"port {port} is taken, so the page is at {own}" if port not in (0, own) else None


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(_address(listener)).is_loopback


def url_of(listener: socket.socket, *, secure: bool) -> str:
    """Where it is reached from this machine, or, where it listens everywhere, by its name."""
    address, port = ipaddress.ip_address(_address(listener)), listener.getsockname()[1]
    host = socket.gethostname() if address.is_unspecified else str(address)
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{shown}:{port}"


def panels_of(registry: Registry, notice: Callable[[str], None]) -> Mapping[str, Panel]:
    """The installed panels, in the order of the page; one that cannot be loaded is told of."""
    found: dict[str, Panel] = {}
    for part in registry.parts("panels"):
        try:
            panel = part.load()
        except CreateLLMError as error:
            notice(error.what)
            continue
        if isinstance(panel, Panel):
            unique = part.name not in registry.ambiguous("panels")
            found[part.name if unique else f"{part.distribution}.{part.name}"] = panel
        else:
            notice(f"panel '{part.name}' of {part.distribution} is no Panel")
    return dict(sorted(found.items(), key=lambda named: (named[1].order, named[0])))


def server_of(
    service: Service,
    listener: socket.socket,
    door: Door,
    *,
    tls: Tls | None = None,
    is_over: Callable[[], bool] | None = None,
) -> uvicorn.Server:
    """`run(sockets=[listener])` answers until SIGINT or SIGTERM, or until `is_over`, asked once a
    second, says so."""
    address, port = listener.getsockname()[:2]
    names = {address.partition("%")[0], socket.gethostname(), socket.getfqdn()}
    hosts = hosts_of(() if is_loopback(listener) else _reachable(names))
    config = uvicorn.Config(
        create_app(service, door, hosts=hosts, port=port),
        loop="asyncio",
        http=Connection,
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
        backlog=_AT_ONCE,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    return _Server(config, service, is_over)


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, service: Service, is_over: Callable[[], bool] | None
    ) -> None:
        super().__init__(config)
        self._service, self._is_over = service, is_over
        self._asked = 0.0

    async def on_tick(self, counter: int) -> bool:
        now = time.monotonic()
        if self._is_over is not None and now - self._asked >= _LOOK_SECONDS:
            self._asked = now
            if await asyncio.to_thread(self._is_over):
                return True
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():  # asyncio has one number for the line and for one go
            listener.listen(_IN_LINE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.stopping = True  # streams end when they next look
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but that being asked to end is how a server ends, and no failure."""
        with interrupts.taken_over(self._asked_to_end):
            yield

    def _asked_to_end(self, number: int, frame: FrameType | None) -> None:
        if self.should_exit:
            interrupts.leave(number)
        self.should_exit = True


def _reachable(names: set[str]) -> tuple[str, ...]:
    """The names and addresses by which others call this machine."""
    with contextlib.suppress(OSError):
        found = socket.getaddrinfo(socket.gethostname(), None)
        names |= {str(address[0]).partition("%")[0] for *_, address in found}
    return tuple(sorted(names))


def _socket(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        raise OSError(errno.EINVAL, "no name of a host") from error
    family, _, _, _, address = found[0]
    return socket.create_server(address, family=family)


def _address(listener: socket.socket) -> str:
    return str(listener.getsockname()[0]).partition("%")[0]  # without an IPv6 scope


def _no_address(host: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"'{host}' is no address of this machine ({error.strerror or error})",
        where=f"--host {host}",
        fixes=("only for this machine: leave --host out",),
    )
