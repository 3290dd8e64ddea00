"""Which data source reads an address such as https://example.org/book.txt."""

from __future__ import annotations

import re
from dataclasses import replace

from create_llm.config.problems import shown
from create_llm.config.schema import MIX
from create_llm.config.values import Entries, KeyPath, Layer, Value, merge, under
from create_llm.errors import ConfigError, CreateLLMError, did_you_mean
from create_llm.kernel.registry import Registry

_PATH, _SOURCE = "train_path", "source"


def with_source_of_address(
    layers: list[Entries], registry: Registry, problems: list[CreateLLMError]
) -> list[Entries]:
    """The layers, weakest first, with the data sources that claim the schemes of what is read:
    `data.train_path`, and that of each source of a mixture. An address that none claims is noted.

    One is chosen where the path was: a source that is named there, or in a stronger layer, stays.
    """
    merged = merge(layers)
    tables = {("data",), *(path[:3] for path in under(merged, *MIX))}
    chosen: Entries = {}
    for table in sorted(tables):
        chosen |= _source_of_address(merged, table, registry, problems)
    return [*layers, chosen] if chosen else layers


def _source_of_address(
    merged: Entries, table: KeyPath, registry: Registry, problems: list[CreateLLMError]
) -> Entries:
    path, source = merged.get((*table, _PATH)), merged.get((*table, _SOURCE))
    address = _first(path.data if path else None)
    scheme = _scheme(address)
    if path is None or not scheme or (source and source.source.layer >= path.source.layer):
        return {}
    claiming = [part for part in registry.parts("data_sources") if scheme in part.schemes]
    if not claiming:
        # One that was chosen for this command may read what it does not claim.
        if source is None or source.source.layer <= Layer.FILE:
            problems.append(_unread(address, scheme, path, registry))
        return {}
    return {(*table, _SOURCE): replace(path, data=claiming[0].name, text=None)}


def _first(value: object) -> str:
    """Of a list of addresses, the first."""
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else ""


def _scheme(address: str) -> str:
    """That of an address, in lower case; empty for a path, also one that begins with a drive."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", address)
    return found[1].lower() if found else ""


def _unread(address: str, scheme: str, path: Value, registry: Registry) -> ConfigError:
    known = sorted({each for part in registry.parts("data_sources") for each in part.schemes})
    can = f"what can be read: {', '.join(f'{each}://…' for each in known)}"
    return ConfigError(
        f"no installed data source reads {scheme} addresses: {shown(address)}",
        where=path.source.label,
        fixes=(
            *did_you_mean(scheme, known),
            *([can] if known else []),
            "or bring the text here yourself, and name the file or its folder",
        ),
    )
