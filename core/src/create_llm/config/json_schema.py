"""The JSON Schema of llm.toml, for editors: the core's keys and those of the installed parts."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from create_llm.config.keys import installed_models
from create_llm.config.schema import ALIASES, MIX, PART_TABLES, SECTIONS, MixConfig, Section
from create_llm.kernel.registry import Part, Registry

Schema = dict[str, Any]


def json_schema(registry: Registry) -> Schema:
    """A JSON Schema (draft 2020-12).

    A section with a part allows the keys of every installed part, since a file may leave the
    choice of the part to a template; loading the file is stricter.
    """
    definitions: Schema = {}
    properties: Schema = {
        "plugins": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Plugins whose callbacks watch each run.",
        }
    }
    for name, section in SECTIONS.items():
        properties[name] = _section(registry, name, section, definitions)
    for table, kind in PART_TABLES.items():
        properties[table] = _part_tables(registry, kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "llm.toml",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _section(registry: Registry, name: str, section: Section, definitions: Schema) -> Schema:
    schema = _model_schema(section.model, name, definitions)
    schema.pop("required", None)
    own = schema["properties"]
    for (table, alias), target in ALIASES.items():
        if table == name:
            own[alias] = {"description": f"Another name of {'.'.join(target)}."}
    if section.kind is None:
        return schema
    names = registry.names(section.kind)
    if section.selector is None:
        own.update({part: {"type": "boolean"} for part in names if part not in own})
        return schema
    own[section.selector] = {**own[section.selector], "examples": names}
    schema.pop("additionalProperties")
    parts = [
        _part_schema(part, model, definitions)
        for part, model in installed_models(registry, section.kind)
    ]
    if MIX[0] == name:
        own[MIX[1]]["additionalProperties"] = _mixed_source(names, parts, definitions)
    return {**schema, "anyOf": [*parts, {}], "unevaluatedProperties": False}


def _mixed_source(names: list[str], parts: list[Schema], definitions: Schema) -> Schema:
    schema = _model_schema(MixConfig, ".".join(MIX), definitions)
    schema["properties"]["source"]["examples"] = names
    schema.pop("additionalProperties")
    return {**schema, "anyOf": [*parts, {}], "unevaluatedProperties": False}


def _part_tables(registry: Registry, kind: str, definitions: Schema) -> Schema:
    tables = {p.name: _part_schema(p, m, definitions) for p, m in installed_models(registry, kind)}
    return {
        "type": "object",
        "properties": tables,
        "additionalProperties": {"type": "object"},
    }


def _part_schema(part: Part, model: type[BaseModel], definitions: Schema) -> Schema:
    schema = _model_schema(model, f"{part.kind}.{part.name}", definitions)
    schema.pop("required", None)
    schema.pop("additionalProperties", None)
    return {**schema, "title": part.name, "description": part.summary}


def _model_schema(model: type[BaseModel], name: str, definitions: Schema) -> Schema:
    """The model's schema; what it defines moves to the common definitions, under its name."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
    for key, value in schema.pop("$defs", {}).items():
        definitions[f"{name}.{key}"] = value
    return schema
