"""Every resolved key with its value, where it came from, and whether it is identity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from create_llm.config.keys import fields_of, is_identity
from create_llm.config.resolved import Config, Selected, Setting
from create_llm.config.schema import MIX, PART_TABLES, SECTIONS, MixConfig
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
            yield from _of_tables((section,), table)
        else:
            for key, value in table.items():
                is_mixture = (section, key) == MIX and bool(value)
                yield from _of_tables(MIX, value) if is_mixture else [((section, key), value)]


def _of_tables(
    prefix: KeyPath, tables: Mapping[str, Mapping[str, object]]
) -> Iterator[tuple[KeyPath, object]]:
    for name, options in tables.items():
        yield from (((*prefix, name, key), value) for key, value in options.items())


def _identity(config: Config, path: KeyPath) -> bool:
    *table, key = path
    if tuple(table[:-1]) == MIX:
        mixed = next(each for each in config.mixture if each.name == table[-1])
        return _is_identity(key, MixConfig, mixed.source, of_a_run=True)
    section = SECTIONS.get(path[0])
    if section is None or len(path) != 2:
        return False
    # With a mixture, what [data] says of its source counts where a table takes it over.
    of_a_run = section.selector is not None and not (path[0] == MIX[0] and config.mixture)
    return _is_identity(key, section.model, parts_by_section(config).get(path[0]), of_a_run)


def _is_identity(
    key: str, model: type[BaseModel], selected: Selected | None, of_a_run: bool
) -> bool:
    """Whether a key of a table is, which the core or the part that is chosen there describes.

    Args:
        of_a_run: whether the part's keys are, unless they say otherwise.
    """
    core = fields_of(model)
    if key in core:
        return is_identity(core[key], default=False)
    options = selected.options if selected else None
    field = fields_of(type(options)).get(key) if options else None
    # A key that a part accepts without describing it can only be taken seriously.
    return of_a_run and (field is None or is_identity(field, default=True))
