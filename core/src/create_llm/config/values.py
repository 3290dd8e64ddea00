"""Values as the layers hold them: by path, each with where it came from."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time

KeyPath = tuple[str, ...]
"""("training", "batch_size"). Not a dotted string: a part's name may hold a dot."""


class Layer(enum.IntEnum):
    """Where a value can come from, weakest first.

    PROJECT_PRESET is the preset that llm.toml (or .env, or the environment) names, PRESET the one
    that the command line names.
    """

    DEFAULT = 0
    HARDWARE = 1
    TEMPLATE = 2
    PROJECT_PRESET = 3
    FILE = 4
    DOTENV = 5
    ENVIRONMENT = 6
    PRESET = 7
    SET = 8
    FLAG = 9


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from; `label` is how messages name it ("llm.toml:12", "--set")."""

    label: str
    layer: Layer

    @property
    def written(self) -> bool:
        """Whether a person wrote the value or named the preset that holds it, rather than a
        template or the program."""
        return self.layer >= Layer.PROJECT_PRESET

    def __str__(self) -> str:
        return self.label


DEFAULT = Source("default", Layer.DEFAULT)


@dataclass(frozen=True, slots=True)
class Value:
    """One value of one layer; `text` is what was typed, where it was typed as text."""

    data: object
    source: Source
    text: str | None = None


Entries = dict[KeyPath, Value]
"""Leaves by path. A list is a leaf; a table is not, unless it is empty."""


def leaves(table: Mapping[str, object], prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    """The leaves of nested tables, in order; TOML's dates and times become text, as in JSON."""
    for key, value in table.items():
        path = (*prefix, key)
        if isinstance(value, Mapping) and value:
            yield from leaves(value, path)
        else:
            yield path, plain(value)


def plain(value: object) -> object:
    """A value as JSON would give it back."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value.isoformat() if isinstance(value, date | time) else value


def nest(entries: Mapping[KeyPath, Value], depth: int) -> dict[str, object]:
    """The inverse of `leaves`, without the first `depth` components of each path."""
    table: dict[str, object] = {}
    for path, value in entries.items():
        inner = table
        for key in path[depth:-1]:
            child = inner.setdefault(key, {})
            assert isinstance(child, dict)  # `merge` keeps no leaf above another
            inner = child
        inner[path[-1]] = value.data
    return table


def under(entries: Entries, *prefix: str) -> Entries:
    """The entries below a path; the path itself, as a leaf, is not among them."""
    size = len(prefix)
    return {p: v for p, v in entries.items() if len(p) > size and p[:size] == prefix}


def merge(layers: list[Entries]) -> Entries:
    """One set of entries from layers given weakest first; the strongest value of a path wins."""
    merged: Entries = {}
    for layer in layers:
        # A value replaces a weaker table; an empty table (a bare [section]) replaces nothing.
        solid = {path for path, value in layer.items() if value.data != {}}
        weaker = {p: v for p, v in merged.items() if solid.isdisjoint(_above(p))}
        merged = weaker | layer
    tables = {table for path in merged for table in _above(path)}
    return {path: value for path, value in merged.items() if path not in tables}


def _above(path: KeyPath) -> list[KeyPath]:
    return [path[:size] for size in range(1, len(path))]


def source_of(entries: Entries, path: KeyPath, fallback: Source = DEFAULT) -> Source:
    """The source of a value, of the one it is a part of, or the strongest one below its path."""
    exact = entries.get(path)
    if exact is not None:
        return exact.source
    for table in reversed(_above(path)):
        if table in entries and entries[table].data:  # a bare [section] says nothing of its keys
            return entries[table].source
    below = [value.source for value in under(entries, *path).values()]
    return max(below, key=lambda source: source.layer, default=fallback)


def dotted(path: KeyPath) -> str:
    return ".".join(path)
