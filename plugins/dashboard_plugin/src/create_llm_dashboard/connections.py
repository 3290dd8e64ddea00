"""Connections that ask for nothing keep nobody out."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""From connecting, or from the last answer, until the next request's head is there. A page that has
nothing to ask loses nothing: its browser connects again."""
MOST_WAITING = 128
HEAD_BYTES = 1 << 16
"""Cookies do not tell ports apart: those of everything else on the machine come along."""


class Connection(H11Protocol):
    """As uvicorn's, but that it does not wait for a request for ever.

    Where more than `MOST_WAITING` wait, the one that has waited longest is closed: whoever is let
    in asks at once.
    """

    _since: float | None = None
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()
        waiting = [each for each in self.connections if isinstance(each, Connection)]
        waiting = [each for each in waiting if each._since is not None]
        if len(waiting) > MOST_WAITING:
            min(waiting, key=lambda each: each._since or 0.0)._give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait_no_more()

    def on_response_complete(self) -> None:
        self._wait()
        super().on_response_complete()

    def _wait(self) -> None:
        self._wait_no_more()
        self._since = self.loop.time()
        self._limit = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _wait_no_more(self) -> None:
        self._since = None
        if self._limit is not None:
            self._limit.cancel()

    def _give_up(self) -> None:
        self._wait_no_more()
        if self.cycle:
            self.transport.close()  # the last answer may still be on its way, and comes to its end
        else:
            self.transport.abort()  # over TLS, a polite end takes as long as the other side likes
