"""The layers that a value can come from, each turned into entries."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from create_llm.config.dotenv import read_dotenv
from create_llm.config.hardware import Hardware, derived_values
from create_llm.config.problems import shown
from create_llm.config.schema import ALIASES
from create_llm.config.values import (
    DEFAULT,
    Entries,
    KeyPath,
    Layer,
    Source,
    Value,
    dotted,
    leaves,
    plain,
)
from create_llm.errors import ConfigError, CreateLLMError, PluginError
from create_llm.kernel.registry import Part, Registry
from create_llm.project.templates import Template

PREFIX = "CREATE_LLM_"

TEMPLATE_KEY = ("project", "template")


def environment_layer(environ: Mapping[str, str]) -> Entries:
    """`CREATE_LLM_SECTION__KEY`; other names of ours (CREATE_LLM_PLUGINS) hold no `__`."""
    return {
        path: Value(
            _typed(text), Source(f"environment {_printable(name)}", Layer.ENVIRONMENT), text
        )
        for name, path, text in _ours(environ)
    }


def dotenv_layer(path: Path) -> Entries:
    """The same names in the project's .env; everything else in there is left alone."""
    variables = read_dotenv(path)
    texts = {name: variable.value for name, variable in variables.items()}
    return {
        path: Value(_typed(text), Source(f".env:{variables[name].line}", Layer.DOTENV), text)
        for name, path, text in _ours(texts)
    }


def set_layer(overrides: Sequence[str], problems: list[CreateLLMError]) -> Entries:
    """`--set section.key=value`; the last one of a key counts."""
    entries: Entries = {}
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or not name.strip():
            problems.append(_not_a_setting(override))
            continue
        path = tuple(part.strip() for part in name.split("."))
        entries[path] = Value(_typed(text.strip()), Source("--set", Layer.SET), text.strip())
    return entries


def flag_layer(flags: Mapping[str, tuple[object, str]]) -> Entries:
    """Values of command-line flags, by dotted key; None means that the flag was not given."""
    return {
        tuple(key.split(".")): Value(plain(value), Source(flag, Layer.FLAG))
        for key, (value, flag) in flags.items()
        if value is not None
    }


def template_layer(registry: Registry, written: Entries, problems: list[CreateLLMError]) -> Entries:
    """The values of the template that was chosen, or else of the default one."""
    chosen = written.get(TEMPLATE_KEY)
    try:
        template = _chosen(registry, chosen) if chosen else _default(registry)
    except CreateLLMError as error:
        problems.append(error)
        return {}
    if template is None:
        return {}
    source = Source(f"template {template.name}", Layer.TEMPLATE)
    entries = {path: Value(value, source) for path, value in leaves(template.values)}
    return {TEMPLATE_KEY: Value(template.name, DEFAULT), **entries}


def hardware_layer(hardware: Hardware, stronger: Entries) -> Entries:
    """What follows from the machine; values that belong together come together or not at all."""
    values, reason = derived_values(hardware)
    if any(path in stronger for path in values):
        return {}
    source = Source(f"hardware: {reason}", Layer.HARDWARE)
    return {path: Value(value, source) for path, value in values.items()}


def without_aliases(entries: Entries, problems: list[CreateLLMError]) -> Entries:
    """The entries of one layer under the names that the schema has for them."""
    result: Entries = {}
    for path, value in entries.items():
        name = canonical(path)
        other = entries.get(name)
        if name != path and other is not None and other.data != value.data:
            problems.append(_contradiction(path, value, name, other))
        elif name == path or other is None:
            result[name] = value
    return result


def canonical(path: KeyPath) -> KeyPath:
    """The name that the schema has for a key."""
    alias = ALIASES.get((path[0], path[1])) if len(path) == 2 else None
    return path if alias is None else alias


def installed_templates(registry: Registry) -> Iterator[Template]:
    """Every installed template that loads; one that nobody asked for may be broken."""
    for part in registry.parts("templates"):
        try:
            yield _load(part)
        except PluginError:
            continue


def _chosen(registry: Registry, name: Value) -> Template | None:
    if not isinstance(name.data, str):
        return None  # the schema says what is wrong with it
    return _load(registry.get("templates", name.data, where=name.source.label))


def _default(registry: Registry) -> Template | None:
    return next((t for t in installed_templates(registry) if t.default), None)


def _load(part: Part) -> Template:
    template = part.load()
    if isinstance(template, Template):
        return template
    raise PluginError(
        f"template '{part.name}' is not a Template",
        where=f"'{part.target}', registered by {part.distribution}",
        fixes=(
            f"update it: llm plugins install {part.distribution} --upgrade",
            "or choose another: llm plugins list",
        ),
    )


def _ours(variables: Mapping[str, str]) -> Iterator[tuple[str, KeyPath, str]]:
    """name, path and text of each CREATE_LLM_SECTION__KEY."""
    for name in sorted(variables):
        rest = name.removeprefix(PREFIX)
        if rest != name and "__" in rest:
            path = tuple(_printable(part).lower() for part in rest.split("__"))
            yield name, path, variables[name]


def _printable(name: str) -> str:
    """A name of the environment, whatever bytes it is made of, as text that can be printed."""
    return name.encode("utf-8", "replace").decode()


def _typed(text: str) -> object:
    """What TOML makes of a text, or the text itself: `8` is a number, `adam` is not."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


def _not_a_setting(override: str) -> ConfigError:
    return ConfigError(
        f"--set needs section.key=value, got {shown(override)}",
        where="--set",
        fixes=("for example: --set training.batch_size=8",),
    )


def _contradiction(alias: KeyPath, value: Value, name: KeyPath, other: Value) -> ConfigError:
    return ConfigError(
        f"{dotted(alias)} and {dotted(name)} are the same key, with two values: "
        f"{shown(value.data)} and {shown(other.data)}",
        where=f"{value.source} and {other.source}",
        fixes=(f"keep {dotted(name)}", f"remove {dotted(alias)}"),
    )
