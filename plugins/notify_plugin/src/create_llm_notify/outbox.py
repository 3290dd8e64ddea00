"""Notifications on their way, in a thread of their own: training waits for none of them."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections import deque
from collections.abc import Callable

from create_llm_notify.desktop import Desktop
from create_llm_notify.words import Message, one_line

_WAITING = 8
"""How many may wait. Of more the oldest are dropped: how the run ended matters most."""
_SECONDS = 5.0
"""What a service may take for one; a desktop's takes milliseconds."""
_EXIT_SECONDS = 2.0
"""What the last one may hold up the process's end."""


class Outbox:
    """Sends in order, each once. A service that fails or hangs costs the run nothing.

    Args:
        shown: hears of each message that the desktop took, in the outbox's thread.
        failed: hears why one was not taken, in the outbox's thread, once.
        seconds: after which a service is taken to hang.
    """

    def __init__(
        self,
        desktop: Desktop,
        shown: Callable[[Message], None],
        failed: Callable[[str], None],
        seconds: float = _SECONDS,
    ) -> None:
        self._desktop = desktop
        self._shown = shown
        self._failed = failed
        self._seconds = seconds
        self._waiting: deque[Message] = deque(maxlen=_WAITING)
        self._closed = False
        self._failing = self._failed_before = False
        self._loop = asyncio.new_event_loop()
        # A bus that goes away is not worth a stack trace: the next message connects anew.
        self._loop.set_exception_handler(lambda loop, context: None)
        self._news = asyncio.Event()
        # A daemon, so that no service can keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="notifications", daemon=True)
        self._thread.start()
        atexit.register(self._before_exit)

    def put(self, message: Message) -> None:
        """Returns at once; not to be called after `close`."""
        self._waiting.append(message)
        self._loop.call_soon_threadsafe(self._news.set)

    def close(self) -> None:
        """No more will come; returns at once, and what waits is still sent."""
        if not self._closed:
            self._closed = True
            self._loop.call_soon_threadsafe(self._news.set)

    def join(self, seconds: float) -> bool:
        """Wait until all is sent after `close`; False if that took longer."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _before_exit(self) -> None:
        self.close()
        self.join(0.0 if self._failing else _EXIT_SECONDS)

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self._send_all())
        finally:
            self._desktop.close()
            self._loop.close()

    async def _send_all(self) -> None:
        """The loop runs between messages as well: it reads what the bus tells."""
        # At once, so that the log says at the start of a run that it will be quiet.
        await self._attempt(None)
        while not self._closed or self._waiting:
            if not self._waiting:
                await self._news.wait()
                self._news.clear()
                continue
            await self._attempt(self._waiting.popleft())

    async def _attempt(self, message: Message | None) -> None:
        """Show a message; None only connects."""
        try:
            async with asyncio.timeout(self._seconds):
                await (self._desktop.show(message) if message else self._desktop.connect())
        except TimeoutError:
            self._tell_failure(f"the notification service did not answer in {self._seconds:g} s")
        except Exception as error:  # of the library, the bus or the service: any kind
            self._tell_failure(one_line(str(error)) or type(error).__name__)
        else:
            self._failing = False
            if message:
                self._shown(message)

    def _tell_failure(self, why: str) -> None:
        self._failing = True
        if not self._failed_before:
            self._failed_before = True
            self._failed(why)
