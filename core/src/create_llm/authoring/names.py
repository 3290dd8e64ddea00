"""What a new plugin may be called: a name that is possible, and nobody's yet."""

from __future__ import annotations

import re
from dataclasses import dataclass

from create_llm.errors import ConfigError
from create_llm.kernel.catalogue import distribution_of, providers_of
from create_llm.kernel.kinds import KINDS
from create_llm.kernel.plugins import CORE, Plugins

PREFIX = "create-llm-"
NEW = "llm plugins new {name}"
LONGEST = 40

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class PluginName:
    """The names that follow from one: `lion` is the plugin, its entry point and its part.

    Attributes:
        folder: as it was written, with or without the prefix.
        plugin: without the prefix.
    """

    folder: str
    plugin: str

    @classmethod
    def parse(cls, name: str, command: str = NEW) -> PluginName:
        """
        Args:
            command: what makes it, with {name} for the name, for advice.

        Raises:
            ConfigError: not lower-case letters and digits with dashes between them, or too long.
        """
        plugin = name.removeprefix(PREFIX)
        if _NAME.fullmatch(plugin) and len(plugin) <= LONGEST:
            return cls(name, plugin)
        near = _nearest_possible(plugin)
        raise ConfigError(
            f"'{name}' cannot be the name of a plugin: it takes at most {LONGEST} lower-case "
            "letters and digits, with dashes between them",
            fixes=(f"for example: {command.format(name=near)}",),
        )

    @property
    def distribution(self) -> str:
        return PREFIX + self.plugin

    @property
    def module(self) -> str:
        """An identifier that, with the prefix, is no keyword and no module of Python's own."""
        return self.distribution.replace("-", "_")


def _nearest_possible(name: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix(PREFIX)).strip("-0123456789")
    return words[:LONGEST].strip("-") or "my-plugin"


def check_is_new(kind: str, name: PluginName, plugins: Plugins, command: str = NEW) -> None:
    """
    Raises:
        ConfigError: it would take the place of something first-party or installed.
    """
    owner = _owner(kind, name, plugins)
    if owner is not None:
        other = f"{name.plugin}-2" if name.plugin.startswith("my-") else f"my-{name.plugin}"
        raise ConfigError(
            f"the name '{name.plugin}' is taken, by {owner}",
            fixes=(
                f"take another: {command.format(name=other)}",
                "see what is installed: llm plugins list",
            ),
        )


def _owner(kind: str, name: PluginName, plugins: Plugins) -> str | None:
    """What has the name already, in words."""
    singular = KINDS[kind].singular
    parts = [part for part in plugins.registry.parts(kind) if part.name == name.plugin]
    if parts:
        return f"the {singular} of {parts[0].distribution}"
    if providers_of(kind, name.plugin):
        return f"a first-party {singular}"
    if distribution_of(name.plugin) or name.distribution == CORE.distribution:
        return f"the first-party package {name.distribution}"
    for record in plugins.records:
        if name.plugin == record.plugin.name or name.distribution == record.plugin.distribution:
            return f"the plugin '{record.plugin.name}' of {record.plugin.distribution}"
    return None
