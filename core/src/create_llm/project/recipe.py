"""What a new project is made of: a person's choices, resolved against the installed parts."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from create_llm.config.attached import PLUGINS_KEY
from create_llm.config.keys import fields_of
from create_llm.config.layers import TEMPLATE_KEY, set_layer, template_layer
from create_llm.config.load import load_config
from create_llm.config.problems import raise_all
from create_llm.config.resolved import Config, Setting
from create_llm.config.schema import SECTIONS
from create_llm.config.settings import parts_by_section
from create_llm.config.values import Entries, KeyPath, Layer, Source, Value, dotted
from create_llm.errors import ConfigError, CreateLLMError
from create_llm.kernel.plugins import Plugins
from create_llm.kernel.registry import Part, Registry
from create_llm.project.own_plugin import OwnPlugin
from create_llm.project.templates import Template

_WRITTEN = (Layer.TEMPLATE, Layer.PRESET, Layer.SET, Layer.FLAG)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chose for a new project; None and empty leave it to the template.

    Attributes:
        overrides: `section.key=value`, as `--set` takes them.
    """

    template: str | None = None
    tokenizer: str | None = None
    plugins: tuple[str, ...] = ()
    scripts: bool = False
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that the files of a new project are written from.

    Attributes:
        config: the template's values with the choices applied, validated.
        own: the plugin that the project is as well; None for a project without code.
        distributions: name → version of the packages that bring what the project names.
        scripts: whether to write scripts that call the command.
    """

    template: Template
    config: Config
    own: OwnPlugin | None
    distributions: Mapping[str, str]
    scripts: bool


def find_template(registry: Registry, name: str | None) -> tuple[Part, Template]:
    """The template called `name`, or the one that is used where nobody names one.

    Raises:
        ConfigError: there is none.
        PluginError: it cannot be loaded.
    """
    problems: list[CreateLLMError] = []
    named: Entries = {}
    if name is not None:
        named[TEMPLATE_KEY] = Value(name, Source("--template", Layer.FLAG))
    entries = template_layer(registry, named, problems)
    raise_all(problems)
    if TEMPLATE_KEY not in entries:
        raise ConfigError(
            "no template is installed that a project starts from unless one is named",
            fixes=(
                f"name one with --template: {', '.join(registry.names('templates')) or 'none'}",
                "install the usual ones: llm plugins install templates",
            ),
        )
    part = registry.get("templates", name or str(entries[TEMPLATE_KEY].data))
    return part, part.load()


def make_recipe(folder: Path, plugins: Plugins, choices: Choices) -> Recipe:
    """Resolve the choices for a project that will be in `folder`; nothing is written.

    Raises:
        ConfigError: a name that nothing installed has, or a value that cannot be.
        PluginError: a plugin that was asked for is missing or failed.
    """
    overrides = set_layer(choices.overrides, [])
    name = choices.template
    if name is None and TEMPLATE_KEY in overrides:
        name = overrides[TEMPLATE_KEY].text
    part, template = find_template(plugins.registry, name)
    flags: dict[str, tuple[object, str]] = {
        dotted(TEMPLATE_KEY): (name or part.name, "--template"),
        "tokenizer.name": (choices.tokenizer, "--tokenizer"),
    }
    if choices.plugins or PLUGINS_KEY not in overrides:
        flags["plugins"] = (_plugin_names(plugins, template, choices), "--plugins")
    own: OwnPlugin | None = None
    installed: AbstractContextManager[Plugins] = contextlib.nullcontext(plugins)
    if template.package is not None:
        own = OwnPlugin.of(template.package, folder.name, part.name, plugins)
        installed = own.as_if_installed(plugins)
        flags[_selector(template.package)] = (own.name.plugin, "the project")
    with installed as known:
        config = load_config(folder, known, flags=flags, overrides=choices.overrides, environ={})
    distributions = _distributions(plugins, part, config)
    return Recipe(template, config, own, distributions, choices.scripts)


def _selector(kind: str) -> str:
    """The key of llm.toml that chooses a part of this kind."""
    sections = ((name, s.selector) for name, s in SECTIONS.items() if s.kind == kind)
    return next(f"{name}.{selector}" for name, selector in sections if selector)


def _plugin_names(plugins: Plugins, template: Template, choices: Choices) -> list[str]:
    """The template's plugins, as far as they are installed, then those that were asked for."""
    loaded = {record.plugin.name for record in plugins.records if record.status == "loaded"}
    usual = [name for name in template.values.get("plugins", []) if name in loaded]
    return list(dict.fromkeys([*usual, *choices.plugins]))


def _distributions(plugins: Plugins, template: Part, config: Config) -> dict[str, str]:
    selected = [part for part in parts_by_section(config).values() if part]
    selected += [each.source for each in config.mixture]
    needed = {template.distribution, *(s.part.distribution for s in selected)}
    needed |= {plugins.require(name).plugin.distribution for name in config.plugins}
    return {
        record.plugin.distribution: record.plugin.version
        for record in plugins.records
        if record.plugin.distribution in needed
    }


def chosen_values(config: Config) -> dict[str, object]:
    """What llm.toml of a new project holds, nested: all that a template, a preset, a flag or --set
    says."""
    return _chosen(config.as_dict(), (), config.settings)


def _chosen(
    table: Mapping[str, object], prefix: KeyPath, settings: Mapping[str, Setting]
) -> dict[str, object]:
    chosen: dict[str, object] = {}
    for key, value in table.items():
        path = (*prefix, key)
        setting = settings.get(dotted(path))
        if setting is None and isinstance(value, Mapping):
            inner = _chosen(value, path, settings)
            chosen.update({key: inner} if inner else {})
        elif setting is not None and _is_chosen(setting):
            chosen[key] = setting.value
    return chosen


def _is_chosen(setting: Setting) -> bool:
    # TOML cannot say that a key is unset; the preset that leaves it so is named in llm.toml.
    return setting.source.layer in _WRITTEN and setting.value is not None


def description(config: Config, path: KeyPath) -> str:
    """The first sentence of what the schema says about a key."""
    if path == PLUGINS_KEY:
        return "The plugins that this project uses; their callbacks watch each run."
    owner = parts_by_section(config).get(path[0])
    fields = {
        **fields_of(owner.part.config_model() if owner else None),
        **fields_of(SECTIONS[path[0]].model if path[0] in SECTIONS else None),
    }
    field = fields.get(path[1]) if len(path) == 2 else None
    # A capital follows: "Jordan et al. 2024" is not the end of a sentence.
    return re.split(r"(?<=\.) (?=[A-Z])", (field.description if field else None) or "", maxsplit=1)[
        0
    ]
