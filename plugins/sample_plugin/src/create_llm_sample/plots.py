"""Reads the plots, which are data: one TOML file each, in ``plots/<language>``.

A plot has titles, scenes (tables of phrases that belong together, of which a story uses one) and a
script of beats, each a list of ways to tell that part. It may narrow the cast, for not every trait
makes a miser and not every thing can break, and a scene may bind what is otherwise drawn from a
list, as skating has its season. ``_lists.toml`` holds the phrases that any plot of the language may
draw from.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

Lists = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Plot:
    name: str
    topics: tuple[str, ...]
    titles: tuple[str, ...]
    cast: Mapping[str, tuple[str, ...]]
    breaks: bool
    scenes: tuple[Mapping[str, str], ...]
    beats: tuple[tuple[str, ...], ...]


def load(language: str) -> tuple[tuple[Plot, ...], Lists]:
    """The plots of a language, by name, and its shared lists."""
    folder = resources.files("create_llm_sample") / "plots" / language
    tables = {
        entry.name.removesuffix(".toml"): tomllib.loads(entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
    lists = {name: tuple(phrases) for name, phrases in tables.pop("_lists").items()}
    # A folder lists its files in no promised order, and the order decides which plot is drawn.
    return tuple(_plot(name, tables[name]) for name in sorted(tables)), lists


def _plot(name: str, table: Mapping[str, Any]) -> Plot:
    return Plot(
        name=name,
        topics=tuple(table["topics"]),
        titles=tuple(table["titles"]),
        cast={name: tuple(ways) for name, ways in table.get("cast", {}).items()},
        breaks=table.get("breaks", False),
        scenes=tuple(table["scenes"]),
        beats=tuple(tuple(beat) for beat in table["script"]["beats"]),
    )
