"""Reads a topic that a person named, and finds what a story has about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

# The marks of a template: a topic is words to quote, never a template.
_MARKS = re.compile(r"[<>{|}]")


LONGEST = 60
"""Characters in a topic: it has to fit into sentences, several times."""


def clean(topic: str | None) -> str | None:
    """The topic on one line without template marks; None when nothing is left of it."""
    text = " ".join(_MARKS.sub(" ", topic or "").split())
    if len(text) > LONGEST:
        raise ValueError(f"a topic has at most {LONGEST} characters, this one has {len(text)}")
    return text or None


def preferred(options: Sequence[T], topic: str | None, key: Callable[[T], str]) -> Sequence[T]:
    """The options whose key is the topic, or all of them when none is."""
    return [option for option in options if key(option) == topic] or options


def mentions(text: str, topic: str) -> bool:
    """Whether ``text`` has the topic as a word of its own, in small letters or capitals."""
    return re.search(rf"(?<!\w){re.escape(topic)}(?!\w)", text, re.IGNORECASE) is not None
