"""What to do about something, as separate things: events tell them in one sentence."""

from __future__ import annotations

import re

from create_llm_dashboard.words import shown

_BETWEEN = re.compile(r"; (?:or )?")
_QUOTE = re.compile(r"""(?<!\w)['"]|['"](?!\w)""")
"""Not the apostrophe within a word."""


def advice(given: object) -> tuple[str, ...]:
    """The parts of a suggestion that joins them by "; " or "; or "; whole where such a mark stands
    within quotes or brackets. Nothing where there is none."""
    if not (text := shown(given).strip()):
        return ()
    parts = tuple(filter(None, map(str.strip, _BETWEEN.split(text))))
    return parts if all(map(_is_whole, parts)) else (text,)


def _is_whole(part: str) -> bool:
    quotes = _QUOTE.findall(part)
    even = all(quotes.count(mark) % 2 == 0 for mark in "'\"")
    return even and part.count("(") == part.count(")")
