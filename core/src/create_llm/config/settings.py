"""Every resolved key with its value, where it came from, and whether it is identity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from create_llm.config.keys import fields_of, is_identity
from create_llm.config.resolved import Config, Selected, Setting
from create_llm.config.schema import PART_TABLES, SECTIONS
from create_llm.config.values import Entries, KeyPath, Source, dotted, source_of


def settings_of(
    config: Config, entries: Entries, followed: Mapping[KeyPath, Source]
) -> dict[str, Setting]:
    """Dotted key → setting, in the order of the sections."""
    return {
        dotted(path): Setting(
            value, followed.get(path) or source_of(entries, path), _identity(config, path)
        )
        for path, value in _resolved(config)
    }


def parts_by_section(config: Config) -> dict[str, Selected | None]:
    """The parts that own keys of a section."""
    return {
        "model": config.model,
        "tokenizer": config.tokenizer,
        "data": config.source,
        "objective": config.objective,
    }


def _resolved(config: Config) -> Iterator[tuple[KeyPath, object]]:
    for section, table in config.as_dict().items():
        if not isinstance(table, dict):
            yield (section,), table
        elif section in PART_TABLES:
            yield from (
                ((section, part, key), value)
                for part, options in table.items()
                for key, value in options.items()
            )
        else:
            yield from (((section, key), value) for key, value in table.items())


def _identity(config: Config, path: KeyPath) -> bool:
    section = SECTIONS.get(path[0])
    if section is None or len(path) != 2:
        return False
    core = fields_of(section.model)
    if path[1] in core:
        return is_identity(core[path[1]], default=False)
    options = _options(config, path[0])
    field = fields_of(type(options)).get(path[1]) if options else None
    # A key that a part accepts without describing it can only be taken seriously.
    return section.selector is not None and (field is None or is_identity(field, default=True))


def _options(config: Config, section: str) -> BaseModel | None:
    selected = parts_by_section(config).get(section)
    return selected.options if selected else None
