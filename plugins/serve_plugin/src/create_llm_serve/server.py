"""Running the application until somebody asks it to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from types import FrameType

import uvicorn

from create_llm import interrupts
from create_llm.cli.units import counted
from create_llm_serve.access import is_loopback
from create_llm_serve.app import create_app
from create_llm_serve.guard import hosts_of
from create_llm_serve.service import Service

_LAST_WORDS_SECONDS = 2
"""For what a client is told in the end to reach it."""


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
    )
    return _Server(config, service)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which cancels in the end: here clients hear why there is no more."""
        cutting = asyncio.create_task(self._cut_off_late_ones())
        try:
            await super().shutdown(sockets)
        finally:
            cutting.cancel()

    async def _cut_off_late_ones(self) -> None:
        grace = self._service.limits.grace_seconds
        await asyncio.sleep(grace)
        if late := self._service.cut_off():
            verb = "was" if late == 1 else "were"
            interrupts.say(f"{counted(late, 'request')} {verb} cut off after {grace:g} seconds")
        await asyncio.sleep(_LAST_WORDS_SECONDS)
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # who does not read does not hear it either

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but that being asked to end is how a server ends, and no failure."""
        with interrupts.taken_over(self._asked_to_end):
            yield

    def _asked_to_end(self, number: int, frame: FrameType | None) -> None:
        if self.should_exit:
            interrupts.leave(number)
        if number == getattr(signal, "SIGHUP", None):
            interrupts.hang_up()
        self.should_exit = True
        if self.server_state.tasks:
            interrupts.say("Finishing the requests at hand; once more ends it at once.")
