"""Foreign text as a terminal may show it."""

from __future__ import annotations

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
