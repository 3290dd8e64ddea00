"""The languages that stories are told in: each is a grammar, a cast and its plots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from create_llm_sample import cast_en, cast_es, grammar_en, grammar_es
from create_llm_sample.plots import Lists, Plot, load
from create_llm_sample.template import Teller


@dataclass(frozen=True)
class Language:
    plots: tuple[Plot, ...]
    lists: Lists
    cast: Callable[[Teller, str | None, bool], dict[str, str]]
    finish: Callable[[str], str]
    title: Callable[[str], str]
    cast_topics: frozenset[str]

    def knows(self, topic: str) -> bool:
        """Whether a story can be about ``topic`` without being told what it is."""
        return topic in self.cast_topics or any(topic in plot.topics for plot in self.plots)


@cache
def language(code: str) -> Language:
    """The language ``code``, read once; a ValueError names the ones there are."""
    if code not in ("en", "es"):
        raise ValueError(f"no stories in {code!r}; there are stories in en and es")
    words, rules = (cast_en, grammar_en) if code == "en" else (cast_es, grammar_es)
    plots, lists = load(code)
    return Language(plots, lists, words.cast, rules.finish, rules.title, words.known_topics())
