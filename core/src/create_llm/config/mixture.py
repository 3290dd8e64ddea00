"""The sources of a mixture: [data.mix.NAME], each over what [data] says."""

from __future__ import annotations

import re
from dataclasses import replace

from create_llm.config.draft import Draft
from create_llm.config.keys import fields_of
from create_llm.config.problems import shown
from create_llm.config.resolved import MixedSource, Selected
from create_llm.config.schema import MIX, MixConfig
from create_llm.config.sections import chosen_part, configured, foreign_keys, meant_for
from create_llm.config.values import Entries, KeyPath, Layer, Source, merge, under
from create_llm.kernel.registry import Part

SOURCE = ("data", "source")
_NAME = re.compile(r"[\w-]+")
_READ = (SOURCE, ("data", "train_path"))


def without_replaced_mixture(layers: list[Entries]) -> list[Entries]:
    """The layers, weakest first, without a mixture where a stronger one says what is read.

    `--corpus-path book.txt` trains on the book, whatever llm.toml mixes.
    """
    merged = merge(layers)
    mixed = [value.source.layer for value in under(merged, *MIX).values()]
    read = [merged[path].source.layer for path in _READ if path in merged]
    if not mixed or max(read, default=Layer.DEFAULT) <= max(mixed):
        return layers
    return [{p: v for p, v in layer.items() if p[: len(MIX)] != MIX} for layer in layers]


def is_mixed(draft: Draft) -> bool:
    """Whether there is a mixture, right or wrong."""
    return bool(under(draft.entries, *MIX))


def mixture_of(draft: Draft, base: Selected | None) -> tuple[MixedSource, ...]:
    """The sources of the mixture by name; what is wrong with one is noted.

    Args:
        base: what [data] itself chooses; None where that is wrong.
    """
    tables = under(draft.entries, *MIX)
    # A value in the place of a table has no path below it, and the section says so.
    names = {path[2] for path, value in tables.items() if len(path) > 3 or value.data == {}}
    usable = [name for name in sorted(names) if _is_usable(draft, name)]
    found = [_mixed_source(draft, name, base) for name in usable]
    return tuple(each for each in found if each is not None)


def _is_usable(draft: Draft, name: str) -> bool:
    """Whether a source can have this name, which files and messages repeat; if not, it is noted."""
    if _NAME.fullmatch(name):
        return True
    draft.problem(
        f"{shown(name)} is no name for a source of a mixture",
        draft.place((*MIX, name)),
        "use letters, digits, - and _: [data.mix.my-books]",
    )
    return False


def taken_over(
    mixture: tuple[MixedSource, ...], base: Selected, entries: Entries
) -> dict[KeyPath, Source]:
    """Where the values of keys come from that stand in [data] and not in the tables themselves."""
    sources: dict[KeyPath, Source] = {}
    for each in mixture:
        options = each.source.as_dict() if each.source.part == base.part else {}
        for key in ("source", *options):
            path, leader = (*MIX, each.name, key), ("data", key)
            if not _is_set(entries, path) and _is_set(entries, leader):
                sources[path] = Source(f"as data.{key}", Layer.DEFAULT)
    return sources


def _is_set(entries: Entries, path: KeyPath) -> bool:
    return path in entries or bool(under(entries, *path))


def _mixed_source(draft: Draft, name: str, base: Selected | None) -> MixedSource | None:
    prefix = (*MIX, name)
    entries = under(draft.entries, *prefix)
    own = {path: v for path, v in entries.items() if path[3] in MixConfig.model_fields}
    table = draft.validate(MixConfig, prefix, own)
    chosen = entries.get((*prefix, "source"))
    selected = _selected(draft, prefix, {p: v for p, v in entries.items() if p not in own}, base)
    if table is None or selected is None:
        return None
    spelled = str(chosen.data) if chosen else selected.name
    return MixedSource(name, table.weight, replace(selected, name=spelled))


def _selected(
    draft: Draft, prefix: KeyPath, options: Entries, base: Selected | None
) -> Selected | None:
    """The source that a table chooses, or that of [data], with the options of both."""
    part = base.part if base else None
    if (*prefix, "source") in draft.entries:
        part = chosen_part(draft, (*prefix, "source"), "data_sources")
    if part is None:
        return None
    if base is not None and part == base.part:
        options = _from_data(draft, part, prefix, options) | options
    return configured(draft, part, prefix, options, MixConfig.model_fields)


def _from_data(draft: Draft, part: Part, prefix: KeyPath, options: Entries) -> Entries:
    """The options that [data] sets and the table does not, as if they stood in the table."""
    own = {path[len(prefix)] for path in options}
    chosen = draft.entries[SOURCE]
    known = fields_of(draft.attempt(part.config_model))
    entries = meant_for(chosen, draft, foreign_keys(draft, "data"), known)
    return {(*prefix, *path[1:]): v for path, v in entries.items() if path[1] not in own}
