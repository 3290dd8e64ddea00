"""Lists of single words, written as running text."""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """The words of ``text``: easier to read and to add to than one quoted word per line."""
    return tuple(text.split())
