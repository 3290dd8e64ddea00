"""Numbers and foreign text as a terminal may show them."""

from __future__ import annotations

import math
import unicodedata

# They reorder what stands around them on the screen, so that a line can read as another.
_BIDI_CONTROLS = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}


def clean(text: str) -> str:
    """`text` with nothing in it that steers a terminal; line ends and tabs stay.

    Model output and file names are data: an escape sequence in them must not reach the screen.
    """
    return "".join(_shown(character) for character in text.expandtabs(4))


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if character == "\n":
        return character
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return "" if category == "Cc" or character in _BIDI_CONTROLS else character


def loss(value: float) -> str:
    return f"{value:.4f}"


def duration(seconds: float) -> str:
    """As a person says it: 42s, 3m 05s, 2h 07m, 1d 03h; `?` where it is not known."""
    if not math.isfinite(seconds) or seconds < 0:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def count(value: float) -> str:
    """With three digits: 987, 12.3k, 4.56M, 7.89B; `?` where it is not known."""
    if not math.isfinite(value):
        return "?"
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:#.3g}".rstrip(".") + unit
    return f"{value:.0f}"
