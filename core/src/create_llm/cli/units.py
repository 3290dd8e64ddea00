"""Numbers and places for people, in one style wherever they are shown."""

from __future__ import annotations

import math
from pathlib import Path

UNKNOWN = "?"
"""What stands for a number that is not finite, where nobody could do anything with it."""
_LEAST_MB = 100_000
"""Bytes that are told in MB; fewer would be 0.0 of them."""


def duration(seconds: float) -> str:
    """42 s, 3 min 05 s, 2 h 07 min, 1 d 03 h."""
    if not math.isfinite(seconds) or seconds < 0:
        return UNKNOWN
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def size(count: int) -> str:
    """Of memory or a file, from bytes."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} GB"
    return f"{count / 1e6:.1f} MB" if count >= _LEAST_MB else f"{count / 1e3:.1f} kB"


def seen_from_here(path: Path) -> Path:
    """A path as a person would type it: relative, where it lies below the current folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def count(number: float) -> str:
    """Whole, with the thousands set apart: 12,345."""
    return f"{number:,.0f}" if math.isfinite(number) else UNKNOWN


def counted(number: int, what: str) -> str:
    """1 step, 2 steps."""
    return f"{count(number)} {what}" if number == 1 else f"{count(number)} {what}s"


def loss(nats: float) -> str:
    return f"{nats:.4f}"


def bits(per_byte: float) -> str:
    return f"{per_byte:.3f} bits/byte"


def rate(number: float) -> str:
    """A learning rate as llm.toml writes it: 0.003, 3e-05."""
    return f"{number:.3g}"
