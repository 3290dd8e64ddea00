"""Running the application until somebody asks it to end."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from types import FrameType

import uvicorn

from create_llm import interrupts
from create_llm_serve.access import is_loopback
from create_llm_serve.app import create_app
from create_llm_serve.guard import hosts_of
from create_llm_serve.service import Service


def server_of(service: Service, listener: socket.socket, key: str | None) -> uvicorn.Server:
    """`run(sockets=[listener])` answers requests until SIGINT or SIGTERM; those at hand are
    answered first.

    Args:
        key: that requests must bring, if any.
    """
    hosts = hosts_of(listener.getsockname()[0], loopback=is_loopback(listener))
    config = uvicorn.Config(
        create_app(service, hosts=hosts, key=key),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=service.limits.grace_seconds,
    )
    return _Server(config)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but that being asked to end is how a server ends, and no failure."""
        previous = interrupts.take_over(self._asked_to_end)
        try:
            yield
        finally:
            interrupts.give_back(previous)

    def _asked_to_end(self, number: int, frame: FrameType | None) -> None:
        if self.should_exit:
            interrupts.leave(number)
        if number == getattr(signal, "SIGHUP", None):
            interrupts.hang_up()
        self.should_exit = True
        if self.server_state.tasks:
            interrupts.say("Finishing the requests at hand; once more ends it at once.")
