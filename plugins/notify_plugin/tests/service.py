"""A desktop's notification service, on a D-Bus session, in a thread."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from dbus_fast import DBusError
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal
from plugins.notify_plugin.tests.story import SECONDS

NAME, PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"


@dataclass(frozen=True, slots=True)
class Shown:
    app: str
    title: str
    body: str
    urgency: int
    sound: str | None
    hints: tuple[str, ...]


class Service(ServiceInterface):
    """Takes notifications; `open` cleared, it hangs in the middle of each; `refusing`, it answers
    with an error."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.open = threading.Event()
        self.open.set()
        self.refusing = False
        self.holding = 0
        self.asked: queue.Queue[str] = queue.Queue()
        self._shown: queue.Queue[Shown] = queue.Queue()

    def next(self) -> Shown:
        return self._shown.get(timeout=SECONDS)

    def titles(self, count: int) -> list[str]:
        return [self.next().title for _ in range(count)]

    def nothing_more(self) -> bool:
        return self._shown.empty()

    @dbus_method(name="Notify")
    async def notify(
        self,
        app: DBusStr,
        replaces: DBusUInt32,
        icon: DBusStr,
        title: DBusStr,
        body: DBusStr,
        actions: Annotated[list[str], DBusSignature("as")],
        hints: Annotated[dict[str, Any], DBusSignature("a{sv}")],
        timeout: DBusInt32,
    ) -> DBusUInt32:
        self.asked.put(title)
        self.holding += 1
        while not self.open.is_set():
            await asyncio.sleep(0.01)
        self.holding -= 1
        if self.refusing:
            raise DBusError(f"{NAME}.Error", "too many notifications")
        sound = hints["sound-name"].value if "sound-name" in hints else None
        given = tuple(sorted(hints))
        self._shown.put(Shown(app, title, body, hints["urgency"].value, sound, given))
        return 1

    @dbus_method(name="GetCapabilities")
    def capabilities(self) -> Annotated[list[str], DBusSignature("as")]:
        return ["body", "body-markup", "sound"]

    @dbus_method(name="GetServerInformation")
    def information(self) -> Annotated[tuple[str, str, str, str], DBusSignature("ssss")]:
        return ("fake", "tests", "1", "1.2")

    @dbus_method(name="CloseNotification")
    def close_notification(self, number: DBusUInt32) -> None: ...

    @dbus_signal(name="NotificationClosed")
    def closed(self) -> Annotated[tuple[int, int], DBusSignature("uu")]:
        return (1, 1)


@contextlib.contextmanager
def serving(address: str) -> Iterator[Service]:
    loop, made = asyncio.new_event_loop(), Service()

    async def connect() -> MessageBus:
        bus = await MessageBus(bus_address=address).connect()
        bus.export(PATH, made)
        await bus.request_name(NAME)
        return bus

    async def leave(bus: MessageBus) -> None:
        made.open.set()
        while made.holding:
            await asyncio.sleep(0.01)
        await bus.release_name(NAME)
        bus.disconnect()

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        bus = asyncio.run_coroutine_threadsafe(connect(), loop).result(SECONDS)
        yield made
        asyncio.run_coroutine_threadsafe(leave(bus), loop).result(SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
