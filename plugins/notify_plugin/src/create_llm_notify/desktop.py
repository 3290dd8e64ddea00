"""The desktop's own notifications: whether there are any, and how one is shown."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from create_llm_notify.words import Kind, Message

if TYPE_CHECKING:
    from desktop_notifier import DesktopNotifier, Sound

# Of the freedesktop.org sound naming specification; what they sound like is the sound theme's.
_SOUNDS: Mapping[Kind, str] = {"completed": "complete", "error": "dialog-error"}


class NotShown(Exception):
    """The desktop did not take a notification."""


def why_quiet(environment: Mapping[str, str], platform: str) -> str | None:
    """Why nobody would see a notification; None where there is a desktop.

    Args:
        platform: as `sys.platform`.
    """
    if in_ci(environment):
        return "this is a CI job"
    if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"):
        return "this is an SSH session"
    if platform.startswith("linux") and not environment.get("DBUS_SESSION_BUS_ADDRESS"):
        return "there is no D-Bus session"
    return None


def in_ci(environment: Mapping[str, str]) -> bool:
    return environment.get("CI", "").lower() not in ("", "0", "false")


class Desktop:
    """Shows notifications, over a connection that is opened when it is first needed."""

    def __init__(self, *, sound: bool) -> None:
        self._sound = sound
        self._notifier: DesktopNotifier | None = None
        self._complaints = _Complaints()

    async def connect(self) -> DesktopNotifier:
        """
        Raises:
            NotShown: the system has no notifications for this program.
            Exception: whatever the connection to the service fails with.
        """
        from desktop_notifier import DesktopNotifier

        self._complaints.attach()
        notifier = DesktopNotifier(app_name="create-llm", app_icon=None)
        if not await notifier.get_capabilities():
            raise NotShown(self._complaints.last or "this system has none for this program")
        self._notifier = notifier
        return notifier

    def close(self) -> None:
        self._complaints.detach()

    async def show(self, message: Message) -> None:
        """Urgency is a hint: do-not-disturb is the system's to decide.

        Raises:
            NotShown: the service refused it.
            Exception: as `connect`.
        """
        # A connection may be hours old, and its bus gone with a logout: then over a new one.
        if self._notifier and await self._send(self._notifier, message):
            return
        if not await self._send(await self.connect(), message):
            raise NotShown(self._complaints.last or "the notification service refused it")

    async def _send(self, notifier: DesktopNotifier, message: Message) -> bool:
        """Whether the service took it."""
        from desktop_notifier import Urgency

        taken: list[bool] = []
        self._notifier = None  # also where this is cut short: then the next one connects anew
        await notifier.send(
            message.title,
            message.body,
            urgency=Urgency.Critical if message.kind == "error" else Urgency.Normal,
            sound=self._sound_of(message.kind),
            on_dispatched=lambda: taken.append(True),
        )
        self._notifier = notifier if taken else None
        return bool(taken)

    def _sound_of(self, kind: Kind) -> Sound | None:
        from desktop_notifier import DEFAULT_SOUND, Sound

        if not self._sound or kind not in _SOUNDS:
            return None
        return Sound(name=_SOUNDS[kind]) if sys.platform.startswith("linux") else DEFAULT_SOUND


class _Complaints(logging.Handler):
    """desktop-notifier logs what goes wrong, with a stack trace that would go to the terminal."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last: str | None = None

    def attach(self) -> None:
        logging.getLogger("desktop_notifier").addHandler(self)

    def detach(self) -> None:
        logging.getLogger("desktop_notifier").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.last = str(error) if error else record.getMessage()
