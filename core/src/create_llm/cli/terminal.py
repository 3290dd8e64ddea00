"""Text from outside on its way to a terminal, which obeys what control characters tell it."""

from __future__ import annotations

import sys
import unicodedata


def steady(text: str) -> str:
    """Text that cannot steer a terminal: control characters but line break and tab are spelt out.

    Blanks and joiners of other scripts stay, as they only change how text looks.
    """
    return "".join(repr(c)[1:-1] if _steers(c) else c for c in text)


def written(text: str) -> str:
    """What goes to stdout: as it is into a file or a pipe, steady on a terminal."""
    return steady(text) if sys.stdout.isatty() else text


def _steers(character: str) -> bool:
    return unicodedata.category(character) == "Cc" and character not in "\n\t"
