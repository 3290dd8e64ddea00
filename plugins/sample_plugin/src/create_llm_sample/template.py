"""Sentences with choices and blanks, and the teller who fills them in.

A template is plain text with two marks. ``{a|b|c}`` is a choice, drawn at each use, and may nest;
an empty option leaves the words out. ``<name>`` is a blank: a thing bound for the whole story (its
hero, its place), or else a list of phrases from which each use draws afresh. ``<Name>`` is the same
with a capital. What fills a blank is itself a template.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

T = TypeVar("T")

_TOKEN = re.compile(r"<([A-Za-z_.]+)>|([{|}])|([^<>{|}]+)")


@dataclass(frozen=True)
class Blank:
    name: str
    capital: bool


@dataclass(frozen=True)
class Choice:
    options: tuple[Template, ...]


Template = tuple[str | Blank | Choice, ...]


@cache
def parse(text: str) -> Template:
    """The template that ``text`` spells; a ValueError names the text if its marks do not pair."""
    tokens = list(_TOKEN.finditer(text))
    if sum(len(token.group()) for token in tokens) != len(text):
        raise ValueError(f"stray mark in template: {text!r}")
    options, end = _options(tokens, 0)
    if end != len(tokens) or len(options) != 1:
        raise ValueError(f"braces do not pair in template: {text!r}")
    return options[0]


def _options(tokens: Sequence[re.Match[str]], at: int) -> tuple[tuple[Template, ...], int]:
    """The alternatives from ``at`` to the brace that closes them, and where that brace is."""
    options: list[Template] = []
    parts: list[str | Blank | Choice] = []
    while at < len(tokens) and tokens[at].group() != "}":
        token = tokens[at]
        if token.group() == "{":
            inner, at = _options(tokens, at + 1)
            parts.append(Choice(inner))
        elif token.group() == "|":
            options.append(tuple(parts))
            parts = []
        else:
            parts.append(_leaf(token))
        at += 1
    return (*options, tuple(parts)), at


def _leaf(token: re.Match[str]) -> str | Blank:
    name = token.group(1)
    if name is None:
        return token.group()
    return Blank(name[0].lower() + name[1:], capital=name[0].isupper())


def capitalised(text: str) -> str:
    """``text`` with its first character in upper case and the rest as it was."""
    return text[:1].upper() + text[1:]


class Teller:
    """Tells one story: holds its random numbers, what is bound in it and what was already said."""

    def __init__(self, seed: int, lists: Mapping[str, Sequence[str]]) -> None:
        self._random = random.Random(seed).random
        self._lists = lists
        self._unsaid: dict[str, list[str]] = {}
        self.bound: dict[str, str] = {}

    def pick(self, options: Sequence[T]) -> T:
        """One of ``options``. Only ``random()`` is promised to stay the same across Pythons."""
        return options[int(self._random() * len(options))]

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def tell(self, text: str) -> str:
        """``text`` with its choices drawn and its blanks filled in."""
        return self._fill(parse(text))

    def _fill(self, template: Template) -> str:
        return "".join([p if isinstance(p, str) else self._part(p) for p in template])

    def _part(self, part: Blank | Choice) -> str:
        if isinstance(part, Choice):
            return self._fill(self.pick(part.options))
        text = self.tell(self._meaning(part.name))
        return capitalised(text) if part.capital else text

    def _meaning(self, name: str) -> str:
        if name in self.bound:
            return self.bound[name]
        if name not in self._lists:
            raise KeyError(f"no list and nothing bound is named {name!r}")
        return self._draw(name)

    def _draw(self, name: str) -> str:
        """A phrase of the list, not yet said in this story while there are others."""
        unsaid = self._unsaid.get(name) or list(self._lists[name])
        self._unsaid[name] = unsaid
        return unsaid.pop(int(self._random() * len(unsaid)))
