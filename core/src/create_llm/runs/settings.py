"""How the settings of several runs differ, key by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from create_llm.config.values import dotted, leaves


def flat(config: Mapping[str, object]) -> dict[str, object]:
    """Dotted key → value of a configuration as a bundle or run.json holds it."""
    return {dotted(path): value for path, value in leaves(config) if value != {}}


def differences(configs: Sequence[Mapping[str, object]]) -> dict[str, tuple[object, ...]]:
    """Dotted key → its value in each configuration, for the keys that are not the same in all.

    None where a configuration does not have the key, as where it leaves the key unset.
    """
    tables = [flat(config) for config in configs]
    keys = sorted({key for table in tables for key in table})
    rows = {key: tuple(table.get(key) for table in tables) for key in keys}
    return {key: values for key, values in rows.items() if any(v != values[0] for v in values)}
