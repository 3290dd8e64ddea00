"""Asking a service again that is busy, and not a moment before it wants to be asked."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from create_llm.errors import NetworkError

T = TypeVar("T")

AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
"""HTTP statuses that may pass by themselves."""

_YEAR = 365 * 86_400.0
"""What is longer has no meaning for a command, and infinity no words."""

_log = logging.getLogger(__name__)


class Transient(Exception):
    """An attempt failed in a way that may pass.

    Args:
        what: what happened, in plain words, without secrets.
        after: seconds that the service asks to wait, where it says so.
    """

    def __init__(self, what: str, after: float | None = None) -> None:
        super().__init__(what)
        self.what, self.after = what, after


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on.

    Attributes:
        attempts: in all.
        first, longest: seconds of the pauses, which double; a random half of each is left out, so
            that many who were sent away do not come back at once.
        asked: seconds that a service may ask for; more ends the command.
    """

    attempts: int = 8
    first: float = 1.0
    longest: float = 60.0
    asked: float = 600.0

    def pause(self, failed: int, after: float | None) -> float:
        """Seconds before the next attempt, once so many have failed."""
        grown = min(self.longest, self.first * 2.0 ** (failed - 1))
        return max(after or 0.0, grown * random.uniform(0.5, 1.0))


def patiently(
    service: str,
    ask: Callable[[], T],
    patience: Patience | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What `ask` returns, asked again whenever it raises `Transient`.

    Args:
        service: as messages call it.

    Raises:
        NetworkError: it fails too often, or asks to be left alone for too long.
    """
    patience = patience or Patience()
    for failed in range(1, patience.attempts + 1):
        try:
            return ask()
        except Transient as error:
            if failed == patience.attempts or (error.after or 0) > patience.asked:
                raise _over(service, error, failed) from error
            pause = patience.pause(failed, error.after)
            _log.warning("%s: %s; again in %.0f s", service, error.what, pause)
            sleep(pause)
    raise AssertionError("unreachable")


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3): a number, or a date; None without a
    usable one, and no more than a year."""
    text = (header or "").strip()
    try:
        return min(max(0.0, float(text)), _YEAR)
    except ValueError:
        pass  # it is no number: a date, then
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return min(max(0.0, (then - (now or datetime.now(UTC))).total_seconds()), _YEAR)


def _over(service: str, error: Transient, failed: int) -> NetworkError:
    when = f"in {error.after:.0f} s" if error.after else "later"
    return NetworkError(
        f"{service} does not answer: {error.what} ({failed} attempt{'s' if failed > 1 else ''})",
        where=service,
        fixes=(
            f"run the same command again {when}",
            "check the connection, and what the service says of its state",
        ),
    )
