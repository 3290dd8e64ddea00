"""Callbacks: parts of which a run has any number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from create_llm.config.draft import Draft
from create_llm.config.problems import shown
from create_llm.config.resolved import Selected
from create_llm.config.sections import (
    configured,
    foreign_keys,
    has_part,
    known_names,
)
from create_llm.config.values import KeyPath, Source, Value, under
from create_llm.errors import nearest
from create_llm.kernel.catalogue import catalogue, providers_of
from create_llm.kernel.plugins import PluginRecord
from create_llm.kernel.registry import Part

PLUGINS_KEY = ("plugins",)


@dataclass(frozen=True, slots=True)
class Attached:
    """The callbacks of a run, and what named them."""

    plugins: tuple[str, ...]
    switches: Mapping[str, bool]
    callbacks: tuple[Selected, ...]


def attached(draft: Draft) -> Attached:
    """The callbacks of the plugins that `plugins` names, then those that [logging] switches on.

    What a person names must be there; what a template or a default names is left out where it is
    not installed.
    """
    records, switches = _records(draft), _switches(draft)
    parts = _parts(draft, records, switches)
    callbacks = []
    for part in parts:
        prefix = _callback_table(draft, part)
        selected = configured(draft, part, prefix, under(draft.entries, *prefix))
        callbacks.extend([selected] if selected else [])
    _check_other_tables(draft, parts)
    on_off = {name: value.data is True for name, value in switches.items()}
    return Attached(tuple(records), on_off, tuple(callbacks))


def _plugin_names(draft: Draft) -> list[str]:
    value = draft.entries.get(PLUGINS_KEY)
    named = value.data if value else []
    is_list = isinstance(named, list) and not under(draft.entries, *PLUGINS_KEY)
    if isinstance(named, list) and is_list and all(isinstance(name, str) for name in named):
        return list(dict.fromkeys(named))
    draft.problem(
        f"plugins must be a list of names{f', got {shown(named)}' if value else ''}",
        draft.file.place(PLUGINS_KEY) or draft.place(PLUGINS_KEY),
        'for example: plugins = ["console"]',
        "it stands at the top of llm.toml, before the first [section]",
    )
    return []


def _records(draft: Draft) -> dict[str, PluginRecord]:
    """The plugins that `plugins` names, by the names it uses."""
    listed = draft.entries.get(PLUGINS_KEY)
    records = {}
    for name in _plugin_names(draft):
        assert listed is not None
        record = _record(draft, name, listed.source)
        records.update({name: record} if record else {})
    return records


def _record(draft: Draft, name: str, source: Source) -> PluginRecord | None:
    if source.written:
        return draft.attempt(draft.plugins.require, name, where=source.label)
    loaded = [record for record in draft.plugins.records if record.status == "loaded"]
    return next((r for r in loaded if name in (r.plugin.name, r.plugin.distribution)), None)


def _switches(draft: Draft) -> dict[str, Value]:
    """The keys of [logging] that name callbacks; other keys that are not the core's are noted."""
    switches = {}
    for path, value in foreign_keys(draft, "logging").items():
        name = path[1]
        installed = has_part(draft.plugins.registry, "callbacks", name)
        if not installed and not value.source.written:
            continue
        if len(path) == 2 and (installed or _may_be_callback(draft, name)):
            if isinstance(value.data, bool):
                switches[name] = value
            else:
                draft.problem(
                    f"logging.{name} must be true or false, got {shown(value.data)}",
                    value.source.label,
                    f"switch the callback on: logging.{name} = true",
                    f"or set its options in a section of its own: [callbacks.{name}]",
                )
        else:
            draft.unknown(path[:2], [*known_names("logging"), *_callback_names(draft)])
    return switches


def _parts(
    draft: Draft, records: Mapping[str, PluginRecord], switches: Mapping[str, Value]
) -> list[Part]:
    """The callbacks to attach, in order, each once."""
    listed = draft.entries.get(PLUGINS_KEY)
    provided = [part for record in records.values() for part in record.parts]
    parts = dict.fromkeys(part for part in provided if part.kind == "callbacks")
    for name, switch in switches.items():
        if switch.data is True:
            place = switch.source.label
            part = draft.attempt(draft.plugins.registry.get, "callbacks", name, where=place)
            parts.update({part: None} if part else {})
        elif listed is None or switch.source.layer >= listed.source.layer:
            parts = {part: None for part in parts if name not in _names(part)}
    return list(parts)


def _may_be_callback(draft: Draft, name: str) -> bool:
    """Whether a first-party package has it, or a plugin that failed to load may have had it."""
    misspelt = nearest(name, known_names("logging")) is not None
    failed = draft.plugins.explain_missing("callbacks", name)
    return bool(providers_of("callbacks", name)) or (not misspelt and failed is not None)


def _callback_names(draft: Draft) -> list[str]:
    known = [name for kinds in catalogue().values() for name in kinds.get("callbacks", [])]
    return [*draft.plugins.registry.names("callbacks"), *known]


def _names(part: Part) -> tuple[str, str]:
    return part.name, f"{part.distribution}/{part.name}"


def _callback_table(draft: Draft, part: Part) -> KeyPath:
    qualified = ("callbacks", f"{part.distribution}/{part.name}")
    return qualified if under(draft.entries, *qualified) else ("callbacks", part.name)


def _check_other_tables(draft: Draft, parts: list[Part]) -> None:
    """Validate the tables of callbacks that are off, so that a mistake in one is seen now."""
    used = {name for part in parts for name in _names(part)}
    tables = dict.fromkeys(path[1] for path in under(draft.entries, "callbacks"))
    registry = draft.plugins.registry
    for name in (name for name in tables if name not in used):
        prefix = ("callbacks", name)
        if has_part(registry, "callbacks", name) or not providers_of("callbacks", name):
            place = draft.file.place(prefix) or draft.place(prefix)
            part = draft.attempt(registry.get, "callbacks", name, where=place)
            if part:
                configured(draft, part, prefix, under(draft.entries, *prefix))
