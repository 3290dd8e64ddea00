"""Connections that ask for nothing, or take no answer, keep nobody out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""From connecting, or from the last answer, until the next request's head is there. A page that has
nothing to ask loses nothing: its browser connects again."""
ANSWER_SECONDS = 10.0
"""After those, how long the rest of an answer waits for the other side to take any of it. The news
of a run never end, so this is not asked of them."""
HEAD_BYTES = 1 << 16
"""Cookies do not tell ports apart: those of everything else on the machine come along."""
LET_IN = "let_in"
"""In the `state` of a request: a function to call when it is of somebody who may see the page."""

_MOST = 128
_SHARE = 8
"""Of the files that a process may have open, strangers get one in so many; those still being closed
while others come are as many again, at most."""
# What uvicorn warns of here is what anybody may send, as often as they like.
_LOGGER = logging.getLogger(__name__)
_LOGGER.setLevel(logging.ERROR)


def most_strangers() -> int:
    """Connections of those who were not let in that this process can afford."""
    with contextlib.suppress(ImportError):  # Windows has no such limit
        import resource

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if files != resource.RLIM_INFINITY:
            return max(min(_MOST, files // _SHARE), 1)
    return _MOST


MOST_STRANGERS = most_strangers()


class Connection(H11Protocol):
    """As uvicorn's, but that it waits for nobody for ever.

    Where more than `MOST_STRANGERS` were not let in, the oldest of them is closed: whoever may see
    the page says so at once.
    """

    _stranger = True
    _since = 0.0
    _limit: asyncio.TimerHandle | None = None
    _left: float = math.inf  # bytes of an answer that were still to be taken at the last look

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.logger = _LOGGER
        self.app_state = {**self.app_state, LET_IN: self._let_in}
        super().connection_made(transport)
        self._since = self.loop.time()
        self._wait()
        others = [each for each in self.connections if isinstance(each, Connection)]
        strangers = [each for each in others if each._stranger]
        if len(strangers) > MOST_STRANGERS:
            min(strangers, key=lambda each: each._since)._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and not self.flow.write_paused:  # else it waits behind what is not taken
            self._wait_no_more()

    def send_400_response(self, msg: str) -> None:
        if self.cycle is None or self.cycle.response_complete:
            super().send_400_response(msg)
        else:  # in the middle of another answer there is no place for this one
            self.cycle.disconnected = True
            self._end()

    def on_response_complete(self) -> None:
        self._wait()
        super().on_response_complete()

    def _let_in(self) -> None:
        self._stranger = False

    def _wait(self) -> None:
        self._wait_no_more()
        self._left = math.inf
        self._limit = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _wait_no_more(self) -> None:
        if self._limit is not None:
            self._limit.cancel()

    def _give_up(self) -> None:
        left = self.transport.get_write_buffer_size()
        if self.cycle is None or left >= self._left:
            self._end()
            return
        self._left = left
        self._limit = self.loop.call_later(ANSWER_SECONDS, self._give_up)
        self.transport.close()  # the last answer comes to its end for as long as it is taken

    def _end(self) -> None:
        """At once: over TLS, a polite end takes as long as the other side likes."""
        self._wait_no_more()
        self.connections.discard(self)  # it is counted no more
        self.transport.abort()
