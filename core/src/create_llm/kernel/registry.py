"""Parts by kind and name, imported on first use."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from create_llm.errors import ConfigError, PluginError, did_you_mean
from create_llm.kernel.advice import place_of, repairs
from create_llm.kernel.catalogue import install_command, providers_of
from create_llm.kernel.kinds import KINDS, Kind, singular_of

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Part:
    """One registered part; nothing of it is imported until `load` or `config_model`."""

    kind: str
    name: str
    target: str
    summary: str
    config: str | None
    requires: tuple[str, ...]
    plugin: str
    distribution: str
    schemes: tuple[str, ...] = ()

    def load(self) -> Any:
        """Import and return the target.

        Raises:
            PluginError: the target does not resolve; names the distribution and the fix.
        """
        return self._resolve(self.target)

    def config_model(self) -> type[BaseModel] | None:
        """The pydantic model of the part's section of llm.toml, if it has one."""
        if self.config is None:
            return None
        model: type[BaseModel] = self._resolve(self.config)
        return model

    def _resolve(self, target: str) -> Any:
        module_name, _, attribute = target.partition(":")
        try:
            # Output of a part's import would otherwise end up inside `--json`.
            with contextlib.redirect_stdout(sys.stderr):
                return getattr(import_module(module_name), attribute)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, and the panics of compiled extensions
            raise self._unresolved(target, place_of(module_name, error), error) from error

    def _unresolved(self, target: str, place: str | None, error: BaseException) -> PluginError:
        source = place or f"'{target}' where it is registered"
        registered = f"'{target}', registered by {self.distribution}"
        return PluginError(
            f"{singular_of(self.kind)} '{self.name}' could not be loaded: "
            f"{type(error).__name__}: {error}",
            where=f"{place} ({registered})" if place else registered,
            fixes=repairs(self.distribution, self.plugin, source),
        )


class Registry:
    """The parts of all loaded plugins.

    Two plugins may register one name: both stay, reachable as `distribution/name`, and the bare
    name becomes an error that lists the choices. Load order never decides.

    Attributes:
        kinds: by name: the core's, then those that plugins own.
    """

    def __init__(self, owned: Iterable[Kind] = ()) -> None:
        self.kinds: dict[str, Kind] = dict(KINDS)
        self._parts: dict[str, dict[str, list[Part]]] = {kind: {} for kind in KINDS}
        for kind in owned:
            self.add_kind(kind)
        self.explain_missing: Callable[[str, str], PluginError | None] = lambda kind, name: None

    def add_kind(self, kind: Kind) -> None:
        """Take parts of a kind that a plugin owns.

        Raises:
            PluginError: the kind is the core's, or another plugin's.
        """
        if kind.name in self.kinds:
            raise PluginError(f"the kind '{kind.name}' belongs to somebody else already")
        self.kinds[kind.name] = kind
        self._parts[kind.name] = {}

    def add(self, part: Part) -> None:
        self._parts[part.kind].setdefault(part.name, []).append(part)

    def parts(self, kind: str) -> Iterator[Part]:
        """All parts of a kind, sorted by name, then distribution."""
        for name in sorted(self._parts[kind]):
            yield from sorted(self._parts[kind][name], key=lambda part: part.distribution)

    def names(self, kind: str) -> list[str]:
        """What may be written to choose a part of this kind; ambiguous names come qualified."""
        names = []
        for name, parts in sorted(self._parts[kind].items()):
            unique = len(parts) == 1
            names.extend([name] if unique else sorted(f"{p.distribution}/{name}" for p in parts))
        return names

    def ambiguous(self, kind: str) -> list[str]:
        """The names that several plugins provide, so that they must be written in full."""
        return sorted(name for name, parts in self._parts[kind].items() if len(parts) > 1)

    def get(self, kind: str, name: str, *, where: str | None = None) -> Part:
        """The part called `name`, or `distribution/name`.

        Raises:
            ConfigError: nobody provides it, or several do.
            PluginError: a plugin that failed would have provided it, or a package that is not
                installed does, or something it requires is missing.
        """
        part = self._find(kind, name, where)
        for requirement in part.requires:
            needed_kind, _, needed_name = requirement.partition("/")
            self._find(needed_kind, needed_name, f"required by {kind}/{name}, {part.distribution}")
        return part

    def _find(self, kind: str, name: str, where: str | None) -> Part:
        distribution, _, bare = name.rpartition("/")
        found = self._parts[kind].get(bare, [])
        if distribution:
            found = [part for part in found if part.distribution == distribution]
        if len(found) == 1:
            return found[0]
        if found:
            raise self._ambiguous(kind, bare, found, where)
        raise self._missing(kind, name, where)

    def _ambiguous(self, kind: str, name: str, found: list[Part], where: str | None) -> ConfigError:
        choices = sorted(f"{part.distribution}/{name}" for part in found)
        return ConfigError(
            f"{self.kinds[kind].singular} '{name}' is provided by several plugins",
            where=where,
            fixes=(
                f"write one of: {', '.join(choices)}",
                f"or remove one: llm plugins uninstall {found[-1].distribution}",
            ),
        )

    def _missing(self, kind: str, name: str, where: str | None) -> ConfigError | PluginError:
        failed = self.explain_missing(kind, name)
        if failed is not None:
            return failed
        packages = providers_of(kind, name)
        if packages:
            return PluginError(
                f"{self.kinds[kind].singular} '{name}' needs a package that is not installed or is "
                f"switched off: {packages[0]}",
                where=where,
                fixes=(
                    install_command(packages[0]),
                    "if it is installed: drop --no-plugins or CREATE_LLM_PLUGINS",
                ),
            )
        names = self.names(kind)
        return ConfigError(
            f"there is no {self.kinds[kind].singular} called '{name}'",
            where=where,
            fixes=(
                *did_you_mean(name, names),
                f"choose one of: {', '.join(names)}" if names else "none is installed",
                "see what is installed: llm plugins list",
            ),
        )
