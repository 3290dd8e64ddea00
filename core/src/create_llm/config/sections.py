"""The sections of llm.toml: the core's keys of each, and the part that owns the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from pydantic import BaseModel

from create_llm.config.draft import Draft, elsewhere
from create_llm.config.keys import fields_of, installed_models
from create_llm.config.problems import shown
from create_llm.config.resolved import Selected
from create_llm.config.schema import ALIASES, MIX, PART_TABLES, SECTIONS, Section
from create_llm.config.values import Entries, KeyPath, Value, dotted, under
from create_llm.errors import PluginError, nearest
from create_llm.kernel.kinds import KINDS
from create_llm.kernel.registry import Part, Registry


def check_shape(draft: Draft) -> None:
    """Note sections that do not exist, keys outside any section, and sections that are values.

    The last are taken out, so that nobody stumbles over them again.
    """
    for name in dict.fromkeys(path[0] for path in draft.entries):
        if name not in SECTIONS and name not in PART_TABLES and name != "plugins":
            _unknown_section(draft, name)
    for path, value in list(draft.entries.items()):
        depth = 1 if path[0] in SECTIONS else 2 if path[0] in PART_TABLES else 0
        if len(path) <= depth and value.data != {}:
            draft.problem(
                f"[{'.'.join(path)}] is a section, got {shown(value.data)}",
                value.source.label,
                f"write its keys below a line of their own: [{'.'.join(path)}]",
                f"see them: llm config explain {path[0]}",
            )
            del draft.entries[path]


def core_keys(draft: Draft, name: str) -> BaseModel | None:
    """The core's own keys of a section, validated."""
    section, entries = SECTIONS[name], under(draft.entries, name)
    own = {path: value for path, value in entries.items() if path[1] in section.model.model_fields}
    chosen = section.selector is not None and (name, section.selector) in entries
    if section.requires_part and not chosen:
        if draft.complete:
            _nothing_chosen(draft, name, section)
        return None
    if section.kind is None or (section.selector is not None and not chosen):
        unknown_keys(draft, (name,), foreign_keys(draft, name), known_names(name))
    return draft.validate(section.model, (name,), own)


def foreign_keys(draft: Draft, name: str) -> Entries:
    """The entries of a section that are not the core's."""
    own = SECTIONS[name].model.model_fields
    return {path: v for path, v in under(draft.entries, name).items() if path[1] not in own}


def part_of(draft: Draft, section_name: str, *, partial: bool = False) -> Selected | None:
    """The part that a section chooses, with its options validated.

    Args:
        partial: options may be missing; then there are none.
    """
    section = SECTIONS[section_name]
    if section.kind is None or section.selector is None:
        return None
    selector = (section_name, section.selector)
    part = chosen_part(draft, selector, section.kind)
    if part is None:
        return None
    names, chosen = known_names(section_name), draft.entries[selector]
    entries = foreign_keys(draft, section_name)
    return configured(draft, part, (section_name,), entries, names, chosen, partial=partial)


def chosen_part(draft: Draft, selector: KeyPath, kind: str) -> Part | None:
    """The part of a kind that a key names, or None after noting why there is none."""
    chosen = draft.entries.get(selector)
    if chosen is None or not isinstance(chosen.data, str):
        return None  # the schema says what is wrong, if anything is
    place, registry = draft.place(selector), draft.plugins.registry
    if chosen.data in draft.own_plugins and not has_part(registry, kind, chosen.data):
        draft.problems.append(_own_is_missing(KINDS[kind].singular, chosen.data, place))
        return None
    return draft.attempt(registry.get, kind, chosen.data, where=place)


def configured(
    draft: Draft,
    part: Part,
    prefix: KeyPath,
    entries: Entries,
    others: Iterable[str] = (),
    chosen: Value | None = None,
    *,
    partial: bool = False,
) -> Selected | None:
    """A part with the options that stand below `prefix`, or None after noting what is wrong.

    Args:
        others: keys of the same table that are not the part's.
        chosen: the value that names the part, where options may be meant for another one.
        partial: a missing option is no problem; there are no options then.
    """
    before = len(draft.problems)
    model = draft.attempt(part.config_model)
    if len(draft.problems) > before:
        return None
    known = fields_of(model)
    if chosen is not None:
        entries = meant_for(chosen, draft, entries, known)
    if model is None or model.model_config.get("extra") != "allow":
        entries = unknown_keys(draft, prefix, entries, [*known, *others], known)
    options = draft.validate(model, prefix, entries, partial=partial) if model else None
    if len(draft.problems) > before:
        return None
    return Selected(part, options, str(chosen.data) if chosen else part.name)


def unknown_keys(
    draft: Draft,
    prefix: KeyPath,
    entries: Entries,
    choices: Iterable[str],
    known: Iterable[str] = (),
) -> Entries:
    """The entries without those whose key is not known, each of which is noted once."""
    size, names, allowed = len(prefix), list(choices), set(known)
    for key in dict.fromkeys(path[size] for path in entries if len(path) > size):
        if key not in allowed:
            draft.unknown((*prefix, key), names, _other_parts(draft.plugins.registry, *prefix, key))
    return {path: value for path, value in entries.items() if path[size] in allowed}


def known_names(section: str) -> list[str]:
    """The core's keys of a section, and other names of them."""
    aliases = [key for table, key in ALIASES if table == section]
    return [*SECTIONS[section].model.model_fields, *aliases]


def has_part(registry: Registry, kind: str, name: str) -> bool:
    """Whether `name` or `distribution/name` is installed, if only ambiguously."""
    return any(name in (p.name, f"{p.distribution}/{p.name}") for p in registry.parts(kind))


def _other_parts(registry: Registry, *path: str) -> Iterator[str]:
    """A fix line for each part that has the key, but is not the one that was chosen."""
    *table, key = path
    section = SECTIONS.get(table[0])
    if section is None or section.kind is None or section.selector is None:
        return
    if len(table) > 1 and tuple(table[:-1]) != MIX:
        return
    for part, model in installed_models(registry, section.kind):
        if key in fields_of(model):
            owner = f"{KINDS[section.kind].singular} '{part.name}'"
            choose = f'{dotted((*table, section.selector))} = "{part.name}"'
            yield f"it is a key of the {owner}: {choose}"


def meant_for(chosen: Value, draft: Draft, entries: Entries, known: Collection[str]) -> Entries:
    """The options without those set for a part that a stronger layer has since replaced.

    `--set tokenizer.name=…` for one command must not turn the file's options for its own
    tokenizer into errors. Options that the new part knows too are kept.
    """
    selector = next(path for path, value in draft.entries.items() if value is chosen)
    choices = [layer[selector] for layer in draft.layers if selector in layer]

    def meant(path: KeyPath, value: Value) -> bool:
        then = [c for c in choices if c.source.layer <= value.source.layer]
        return path[1] in known or not then or then[-1].data == chosen.data

    return {path: value for path, value in entries.items() if meant(path, value)}


def _own_is_missing(kind: str, name: str, place: str | None) -> PluginError:
    return PluginError(
        f"{kind} '{name}' is this project's own, and is not installed",
        where=place,
        fixes=("install it: llm plugins install --editable .", "if it is: llm plugins list"),
    )


def _nothing_chosen(draft: Draft, name: str, section: Section) -> None:
    assert section.kind is not None
    kind = KINDS[section.kind]
    names = draft.plugins.registry.names(kind.name)
    example = f'{section.selector} = "{names[0] if names else "…"}"'
    draft.problem(
        f"no {kind.singular} is chosen: {name}.{section.selector} is not set",
        draft.file.place((name,)),
        f"set it in llm.toml, below [{name}]: {example}",
        f"choose one of: {', '.join(names) or 'none is installed'}",
        "or name a template that chooses one: llm config explain project.template",
    )


def _unknown_section(draft: Draft, name: str) -> None:
    inside = [path for path in draft.entries if path[0] == name]
    sections = [*SECTIONS, *PART_TABLES]
    match = nearest(name, [*sections, "plugins"])
    hint = (f"did you mean '{match}'?",) if match else elsewhere(name)
    if (name,) in inside and draft.entries[(name,)].data != {}:
        what = f"'{name}' stands outside any section"
    else:
        what = f"there is no section [{name}]"
    draft.problem(
        what,
        draft.file.place((name,)) or draft.place(inside[0]),
        *hint,
        f"sections are: {', '.join(sections)}",
    )
