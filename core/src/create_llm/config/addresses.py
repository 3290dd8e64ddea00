"""Which data source reads an address such as https://example.org/book.txt."""

from __future__ import annotations

from dataclasses import replace

from create_llm.config.schema import MIX
from create_llm.config.values import Entries, KeyPath, merge, under
from create_llm.kernel.registry import Registry

_PATH, _SOURCE = "train_path", "source"


def with_source_of_address(layers: list[Entries], registry: Registry) -> list[Entries]:
    """The layers, weakest first, with the data sources that claim the schemes of what is read:
    `data.train_path`, and that of each source of a mixture.

    One is chosen where the path was: a source that is named there, or in a stronger layer, stays.
    """
    merged = merge(layers)
    tables = {("data",), *(path[:3] for path in under(merged, *MIX))}
    chosen: Entries = {}
    for table in sorted(tables):
        chosen |= _source_of_address(merged, table, registry)
    return [*layers, chosen] if chosen else layers


def _source_of_address(merged: Entries, table: KeyPath, registry: Registry) -> Entries:
    path, source = merged.get((*table, _PATH)), merged.get((*table, _SOURCE))
    scheme, colon, _ = _first(path.data if path else None).partition("://")
    if path is None or not colon or (source and source.source.layer >= path.source.layer):
        return {}
    claiming = [part for part in registry.parts("data_sources") if scheme.lower() in part.schemes]
    if not claiming:
        return {}
    return {(*table, _SOURCE): replace(path, data=claiming[0].name, text=None)}


def _first(value: object) -> str:
    """Of a list of addresses, the first."""
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else ""
