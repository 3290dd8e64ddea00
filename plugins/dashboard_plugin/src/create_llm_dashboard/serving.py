"""A dashboard put together: what it shows, who may come in, and the link that lets them."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import uvicorn

from create_llm.errors import CredentialsError
from create_llm.kernel.registry import Registry
from create_llm.runs.run import RunFolder
from create_llm_dashboard.access import Door, new_token
from create_llm_dashboard.app import Service
from create_llm_dashboard.reading import Runs
from create_llm_dashboard.server import Tls, is_loopback, panels_of, server_of, url_of


@dataclass
class Serving:
    """
    Attributes:
        registry: where the panels come from.
        project: its name.
        folders: lists its runs, oldest first, as they are now.
        meant, others: the run that is shown first, and those laid over it.
    """

    registry: Registry
    project: str
    folders: Callable[[], Iterable[RunFolder]]
    listener: socket.socket
    tls: Tls | None = None
    meant: str | None = None
    others: tuple[str, ...] = ()
    token: str = field(default_factory=new_token, repr=False)

    def __post_init__(self) -> None:
        panels = panels_of(self.registry, say)
        self.service = Service(self.project, Runs(self.folders), panels, self.meant, self.others)

    @property
    def link(self) -> str:
        """The address with the token."""
        return f"{url_of(self.listener, secure=self.tls is not None)}/?token={self.token}"

    def run(self, is_over: Callable[[], bool] | None = None) -> None:
        """Answer until a signal ends it, or `is_over` does."""
        threading.Thread(target=self.service.read_ahead, daemon=True).start()
        self.server(is_over).run(sockets=[self.listener])

    def server(self, is_over: Callable[[], bool] | None = None) -> uvicorn.Server:
        door = Door(self.token, secure=self.tls is not None)
        return server_of(self.service, self.listener, door, tls=self.tls, is_over=is_over)


def check_reach(listener: socket.socket, tls: Tls | None, *, insecure: bool) -> None:
    """
    Raises:
        CredentialsError: others can reach it, what they send can be read on the way, and nobody
            has said that this is meant.
    """
    if is_loopback(listener) or tls is not None:
        return
    if not insecure:
        raise CredentialsError(
            "beyond this machine the page needs TLS: who listens in could see it and take it over",
            where=f"--host {listener.getsockname()[0]}",
            fixes=(
                "stay on this machine and come through ssh: ssh -L 5000:127.0.0.1:5000 HOST",
                "give a certificate: --certificate cert.pem --key key.pem",
                "or, in a network that you trust: --insecure",
            ),
        )
    say("warning: without TLS, anybody on the way can read this page and stop the training")


def say(message: str) -> None:
    """On stderr, so that stdout stays free for results."""
    print(message, file=sys.stderr, flush=True)
