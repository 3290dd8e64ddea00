"""Tells stories: the n-th story of a language and a seed is always the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count

from create_llm_sample.languages import Language, language
from create_llm_sample.plots import Plot
from create_llm_sample.template import Teller
from create_llm_sample.topics import clean, mentions

VERSION = "1"
"""Goes up with any change to the words or the code that changes the text of a story."""

SHORTEST, LONGEST = 500, 1500
"""Characters in a story, title and all: what a small context window can hold."""

_TITLED = 0.7
_TRIES_FOR_TOPIC = 40


def story(code: str, seed: int, index: int, topic: str | None = None) -> str:
    """Story number ``index`` in the language ``code``; about ``topic``, if one is given."""
    teller_of = language(code)
    wanted = clean(topic)
    for attempt in count():
        teller = Teller(_number(code, seed, index, attempt), teller_of.lists)
        weave = wanted is not None and (
            attempt >= _TRIES_FOR_TOPIC or not teller_of.knows(wanted.lower())
        )
        text = _told(teller_of, teller, wanted, weave)
        if SHORTEST <= len(text) <= LONGEST and (wanted is None or mentions(text, wanted)):
            return text
    raise AssertionError("count() has no end")


def stories(size_bytes: int, codes: Sequence[str], seed: int) -> Iterator[tuple[str, str]]:
    """Languages and stories, the languages taken in turn, until there are ``size_bytes`` of text.

    The last story is told to its end, so the total passes ``size_bytes`` by less than one story.
    """
    size = 0
    for number in count():
        if size >= size_bytes:
            return
        code = codes[number % len(codes)]
        text = story(code, seed, number // len(codes))
        size += len(text.encode())
        yield code, text


def _number(*parts: object) -> int:
    """A seed from ``parts``: the same on every machine, where ``hash()`` is not."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


def _told(source: Language, teller: Teller, topic: str | None, weave: bool) -> str:
    theme = topic.lower() if topic and not weave else None
    plot = teller.pick(_plots_about(source, theme))
    teller.bound = source.cast(teller, theme, plot.breaks)
    teller.bound.update({name: teller.pick(ways) for name, ways in plot.cast.items()})
    teller.bound.update(teller.pick(plot.scenes))
    ways = [teller.pick(beat) for beat in plot.beats]
    if topic and weave:
        teller.bound["topic"] = topic
        ways[1:1] = ["<weave_early>"]
        ways.append("<weave_late>")
    text = source.finish(" ".join(teller.tell(way) for way in ways))
    return _titled(source, teller, plot) + text


def _titled(source: Language, teller: Teller, plot: Plot) -> str:
    if not teller.chance(_TITLED):
        return ""
    return source.title(teller.tell(teller.pick(plot.titles))) + "\n\n"


def _plots_about(source: Language, theme: str | None) -> Sequence[Plot]:
    """The plots with this theme; all of them when none is, for the cast may bring it in."""
    return [plot for plot in source.plots if theme in plot.topics] or source.plots
