"""Text from outside on its way to a terminal, which obeys what control characters tell it."""

from __future__ import annotations

import sys
import unicodedata

# They reorder what stands around them on the screen, so that a line can read as another.
_REORDERING = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}


def steady(text: str) -> str:
    """Text that cannot steer a terminal: control characters but line break and tab are spelt out,
    as is what reorders a line or is half a character.

    Blanks and joiners of other scripts stay, as they only change how text looks.
    """
    lines = text.replace("\r\n", "\n")
    return "".join(_spelt(c) if _steers(c) else c for c in lines)


def written(text: str) -> str:
    """What goes to stdout: as it is into a file or a pipe, steady on a terminal."""
    return steady(text) if sys.stdout.isatty() else text


def one_line(text: str) -> str:
    """All that cannot be seen is spelt out, so that it shows what is there; for a table's cell."""
    return "".join(c if c.isprintable() else "⏎" if c == "\n" else _spelt(c) for c in text)


def alone(token: str) -> str:
    """A token for itself, where nothing beside it shows its blanks."""
    return one_line(token).replace(" ", "␣")


def _spelt(character: str) -> str:
    return repr(character)[1:-1]


def _steers(character: str) -> bool:
    if character in "\n\t":
        return False
    return unicodedata.category(character) in ("Cc", "Cs") or character in _REORDERING
