"""What each key means: the schema's words, joined with the value it has and where that is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from create_llm.config.keys import advice_of, fields_of, installed_models, is_identity, table_of
from create_llm.config.layers import canonical
from create_llm.config.problems import shown
from create_llm.config.resolved import Config, Setting
from create_llm.config.schema import COMMAND_TABLES, MIX, PART_TABLES, SECTIONS, MixConfig
from create_llm.config.settings import parts_by_section
from create_llm.config.values import KeyPath, dotted
from create_llm.errors import ConfigError, did_you_mean
from create_llm.kernel.kinds import KINDS
from create_llm.kernel.registry import Part, Registry

Explanations = dict[KeyPath, "Explanation"]

SECTION_NOTES = {
    "callbacks": "Options of callbacks, each in a table of its own: [callbacks.NAME].",
    "synth": "Options of makers of synthetic text, each in a table of its own: [synth.NAME].",
    "export": "Options of exporters, each in a table of its own: [export.NAME].",
    "deployment": "Where models are published, each target in a table: [deployment.NAME].",
}
_PLUGINS = (
    "The plugins whose callbacks watch each run. It stands at the top of llm.toml, before the "
    "first [section]."
)
_ANY = "NAME"
_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list",
    "object": "a table",
}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "greater than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One key.

    Attributes:
        setting: its value and source; None if the configuration does not resolve, or if its
            part is not the one that is chosen.
        part: the part that the key belongs to; None for the core's own.
        table: of a key that is a table, what its own keys are.
        required: whether it has no default.
    """

    key: str
    what: str
    cost: str | None
    advice: str | None
    takes: str
    default: object
    identity: bool
    part: Part | None = None
    setting: Setting | None = None
    table: type[BaseModel] | None = None
    required: bool = False

    @property
    def on_demand(self) -> bool:
        """Whether a command uses its part when it is asked to, rather than a run always."""
        return self.part is not None and self.key.partition(".")[0] in COMMAND_TABLES

    @property
    def owner(self) -> str | None:
        return f"{KINDS[self.part.kind].singular} '{self.part.name}'" if self.part else None

    def as_dict(self) -> dict[str, object]:
        return {
            "key": self.key,
            "value": self.setting.value if self.setting else None,
            "from": self.setting.source.label if self.setting else None,
            "what": self.what,
            "cost": self.cost,
            "try": self.advice,
            "takes": self.takes,
            "default": self.default,
            "identity": self.identity,
            "part": self.owner,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """What a name stands for: one key, or a section (then with what it is for)."""

    name: str
    keys: tuple[Explanation, ...]
    section_note: str | None = None


def find_keys(registry: Registry, config: Config | None, name: str) -> Found:
    """The key called `name`, or all keys of the section called `name`.

    A key may be given without its section where only one section has it.

    Args:
        config: None where it does not resolve: keys are then explained without their values.

    Raises:
        ConfigError: there is neither; says which is nearest.
    """
    known = explanations(registry, config)
    path = canonical(tuple(name.split(".")))
    path = next((spelled for spelled in _spelled(path) if spelled in known), path)
    if path in known:
        return Found(known[path].key, (known[path],))
    inside = tuple(known[key] for key in known if key[: len(path)] == path)
    if inside or name in PART_TABLES:
        return Found(name, inside, _note(name))
    within = _in_table(path, known)
    if within is not None:
        return Found(within.key, (within,))
    named = [found for key, found in known.items() if key[-1] == name]
    if len(named) == 1:
        return Found(named[0].key, (named[0],))
    raise _no_such_key(name, known, named)


def _spelled(path: KeyPath) -> Iterator[KeyPath]:
    """A key, and where else it is explained: one of a mixture that is not there, or is wrong."""
    yield path
    if path[: len(MIX)] == MIX and len(path) == len(MIX) + 2:
        yield (*MIX, _ANY, path[-1])
        yield (MIX[0], path[-1])


def explanations(registry: Registry, config: Config | None) -> Explanations:
    """Every key of the core and of every installed part, in the order of the sections."""
    settings = config.settings if config else {}
    known: Explanations = {}
    for path, found in _all(registry, config):
        known.setdefault(path, replace(found, setting=settings.get(found.key)))
    return known


def _all(registry: Registry, config: Config | None) -> Iterator[tuple[KeyPath, Explanation]]:
    yield ("plugins",), _simple("plugins", _PLUGINS, "a list of names", [])
    chosen = parts_by_section(config) if config else {}
    for name, section in SECTIONS.items():
        yield from _of_model((name,), section.model, None)
        if section.selector is None:
            continue
        assert section.kind is not None
        selected = chosen.get(name)
        mine = selected.part if selected else None
        models = installed_models(registry, section.kind)
        # The chosen part comes first: it has the word on keys that several parts have.
        for part, model in sorted(models, key=lambda pair: pair[0] != mine):
            yield from _of_model((name,), model, part)
    yield from _of_mixture(config)
    for part in registry.parts("callbacks"):
        what = f"Whether this callback watches each run. {part.summary}"
        key = ("logging", part.name)
        yield key, _simple(dotted(key), what, "true or false", False, part)
    for table, kind in PART_TABLES.items():
        for part, model in installed_models(registry, kind):
            yield from _of_model((table, part.name), model, part)


def _of_mixture(config: Config | None) -> Iterator[tuple[KeyPath, Explanation]]:
    mixture = config.mixture if config else ()
    for mixed in mixture:
        table, part = (*MIX, mixed.name), mixed.source.part
        yield from _of_model(table, MixConfig, None)
        if mixed.source.options is not None:
            yield from _of_model(table, type(mixed.source.options), part)
    if not mixture:
        yield from _of_model((*MIX, _ANY), MixConfig, None)


def _of_model(
    prefix: KeyPath, model: type[BaseModel], part: Part | None
) -> Iterator[tuple[KeyPath, Explanation]]:
    properties = model.model_json_schema().get("properties", {})
    section = SECTIONS.get(prefix[0])
    of_a_run = section is not None and section.selector is not None
    for name, field in fields_of(model).items():
        if part and section and name in section.model.model_fields:
            continue
        identity = is_identity(field, default=of_a_run)
        yield _explained((*prefix, name), field, properties.get(name, {}), part, identity=identity)


def _explained(
    path: KeyPath, field: FieldInfo, schema: Mapping[str, Any], part: Part | None, *, identity: bool
) -> tuple[KeyPath, Explanation]:
    cost, advice = advice_of(field)
    found = Explanation(
        key=dotted(path),
        what=field.description or "Its plugin does not describe it.",
        cost=cost,
        advice=advice,
        takes=_takes(schema),
        default=None if field.is_required() else schema.get("default"),
        identity=identity,
        part=part,
        table=table_of(field),
        required=field.is_required(),
    )
    return path, found


def _in_table(path: KeyPath, known: Explanations) -> Explanation | None:
    """What a key inside a key that is a table means: data.columns.prompt.

    Raises:
        ConfigError: the table has no such key.
    """
    for size in range(len(path) - 1, 1, -1):
        around = known.get(path[:size])
        if around is None or around.table is None:
            continue
        fields, properties = fields_of(around.table), around.table.model_json_schema()["properties"]
        name = path[size]
        if name not in fields:
            near = did_you_mean(name, fields)
            has = f"{around.key} has: {', '.join(fields)}"
            raise ConfigError(f"there is no key '{dotted(path)}'", fixes=(*near, has))
        _, found = _explained(
            path[: size + 1], fields[name], properties[name], around.part, identity=around.identity
        )
        setting = around.setting
        if setting is not None:
            whole = setting.value if isinstance(setting.value, Mapping) else {}
            setting = replace(setting, value=whole.get(name))
        inside = replace(found, setting=setting)
        return _in_table(path, {path[: size + 1]: inside}) if len(path) > size + 1 else inside
    return None


def _simple(
    key: str, what: str, takes: str, default: object, part: Part | None = None
) -> Explanation:
    advice = "See what is installed with `llm plugins list`."
    return Explanation(key, what, None, advice, takes, default, identity=False, part=part)


def _note(name: str) -> str:
    section = SECTIONS.get(name)
    return (section.model.__doc__ or "") if section else SECTION_NOTES.get(name, "")


def _takes(schema: Mapping[str, Any]) -> str:
    """The values that a property of a JSON Schema allows, in words."""
    every = list(_alternatives(schema))
    choices = [_one_of(choice) for choice in every if choice.get("type") != "null"]
    unset = ["or unset"] if len(choices) < len(every) else []
    several = ", or " if any("," in choice for choice in choices) else " or "
    return ", ".join([several.join(choices), *unset])


def _alternatives(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "anyOf" not in schema:
        yield schema
    for choice in schema.get("anyOf", []):
        yield from _alternatives(choice)


def _one_of(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    words = [_TYPES.get(schema.get("type", ""), "a value")]
    words += [f"{word} {schema[bound]:g}" for bound, word in _BOUNDS.items() if bound in schema]
    words += [f"like {shown(example)}" for example in schema.get("examples", [])]
    return ", ".join(words)


def _no_such_key(name: str, known: Explanations, named: list[Explanation]) -> ConfigError:
    keys = [dotted(path) for path in known]
    if named:
        return ConfigError(
            f"several sections have a key '{name}'",
            fixes=[f"llm config explain {found.key}" for found in named],
        )
    near = did_you_mean(name, [*keys, *SECTIONS, *PART_TABLES])
    if not near:
        near = did_you_mean(name, [path[-1] for path in known])
    return ConfigError(
        f"there is no key '{name}'",
        fixes=(
            *near,
            f"sections are: {', '.join([*SECTIONS, *PART_TABLES])}",
            "see every key with its value: llm config show",
        ),
    )
