"""What others wrote, as a page shows it."""

from __future__ import annotations

from create_llm.runs.page import printable

_LONGEST = 4000
_HUGE = 1e5


def shown(given: object) -> str:
    """A text without what steers a terminal, of a length that a page bears; "" for what is none."""
    text = printable(given) if isinstance(given, str) else ""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def nats(loss: float, digits: int = 2) -> str:
    """With so many digits behind the point, unless it is huge."""
    return f"{loss:.{digits}f}" if abs(loss) < _HUGE else f"{loss:.{digits}g}"
