"""Which data source reads an address such as https://example.org/book.txt."""

from __future__ import annotations

from dataclasses import replace

from create_llm.config.values import Entries, merge
from create_llm.kernel.registry import Registry

_PATH, _SOURCE = ("data", "train_path"), ("data", "source")


def with_source_of_address(layers: list[Entries], registry: Registry) -> list[Entries]:
    """The layers, weakest first, with the data source that claims the scheme of `data.train_path`.

    It is chosen where the path was: a source that is named there, or in a stronger layer, stays.
    """
    merged = merge(layers)
    path, source = merged.get(_PATH), merged.get(_SOURCE)
    scheme, colon, _ = _first(path.data if path else None).partition("://")
    if path is None or not colon or (source and source.source.layer >= path.source.layer):
        return layers
    claiming = [part for part in registry.parts("data_sources") if scheme.lower() in part.schemes]
    if not claiming:
        return layers
    return [*layers, {_SOURCE: replace(path, data=claiming[0].name, text=None)}]


def _first(value: object) -> str:
    """Of a list of addresses, the first."""
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else ""
