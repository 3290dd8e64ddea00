"""Discovery: find the installed plugins, stage what each registers, keep failures as data.

pluggy is used to check and call the hooks; each plugin is called alone, so that a failure has a
name. A plugin's registrations are staged and committed all or none. Plugins run with full trust:
this isolates the core from their failures, not from malice.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Literal

import pluggy

from create_llm import __version__, hookspecs
from create_llm.errors import PluginError, nearest
from create_llm.kernel.advice import place_of, repairs
from create_llm.kernel.catalogue import distribution_of, install_command, providers_of
from create_llm.kernel.entry_points import InstalledPlugin, installed_plugins
from create_llm.kernel.kinds import KINDS
from create_llm.kernel.owned import spec_of, take_kinds
from create_llm.kernel.registry import Part, Registry

# The core's own verbs come in by the same door as everybody's.
CORE = InstalledPlugin("core", "create_llm.cli.verbs", "create-llm-core", __version__)

# A name that is not ours may be anybody's on the package index: it is not offered as a package.
_INSTALL_ANY = "llm plugins install PACKAGE, where PACKAGE is the distribution that brings it"


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """What became of one installed plugin; `parts` of a failed one were staged, not committed.

    Attributes:
        place: of a failed one, the file, and the line if it is known, where its author looks.
    """

    plugin: InstalledPlugin
    status: Literal["loaded", "failed", "disabled"]
    error: str | None = None
    parts: tuple[Part, ...] = ()
    place: str | None = None

    @property
    def provides(self) -> dict[str, list[str]]:
        """kind → names."""
        kinds: dict[str, list[str]] = {}
        for part in self.parts:
            kinds.setdefault(part.kind, []).append(part.name)
        return kinds


@dataclass(frozen=True, slots=True)
class Plugins:
    """All installed plugins and the registry of the parts of those that loaded."""

    records: tuple[PluginRecord, ...]
    registry: Registry

    def failed(self) -> list[PluginRecord]:
        return [record for record in self.records if record.status == "failed"]

    def joined_by(self, plugin: InstalledPlugin) -> Plugins:
        """These and one more, which can be imported though it is not installed.

        Raises:
            PluginError: it does not load.
        """
        owned = [kind for name, kind in self.registry.kinds.items() if name not in KINDS]
        registry, manager = Registry(owned), _manager()
        for kind in owned:
            manager.add_hookspecs(spec_of(kind))
        for name in registry.kinds:
            for part in self.registry.parts(name):
                registry.add(part)
        failed = take_kinds(manager, plugin, registry)
        record = _load(manager, plugin, registry, strict=True, failed=failed)
        plugins = Plugins((*self.records, record), registry)
        registry.explain_missing = plugins.explain_missing
        return plugins

    def require(self, name: str, *, where: str | None = None) -> PluginRecord:
        """The loaded plugin called `name`; asking for one by name makes its failure an error.

        Raises:
            PluginError: it failed, is switched off, or is not installed.
        """
        matches = [r for r in self.records if name in (r.plugin.name, r.plugin.distribution)]
        for record in matches:
            if record.status == "loaded":
                return record
        if matches:
            raise unusable(matches[0], where)
        distribution = distribution_of(name)
        names = sorted(r.plugin.name for r in self.records if r.plugin is not CORE)
        match = nearest(name, names)
        raise PluginError(
            f"plugin '{name}' is not installed",
            where=where,
            fixes=(
                *((f"did you mean '{match}'?",) if match else ()),
                install_command(distribution) if distribution else _INSTALL_ANY,
                f"installed are: {', '.join(names) or 'none'}",
            ),
        )

    def explain_missing(self, kind: str, name: str) -> PluginError | None:
        """The failure behind a part that nobody provides, if a failed plugin is behind it."""
        failed = self.failed()
        providers = providers_of(kind, name)
        certain = [r for r in failed if any((p.kind, p.name) == (kind, name) for p in r.parts)]
        likely = [
            r
            for r in failed
            if name in (r.plugin.name, r.plugin.distribution) or r.plugin.distribution in providers
        ]
        # A plugin that failed before it could register may have provided anything, unless the
        # name is known to be another's or looks misspelt.
        explained = providers or nearest(name, self.registry.names(kind)) is not None
        possible = [] if explained else [r for r in failed if not r.parts]
        suspects = certain or likely or possible
        asked = f"{self.registry.kinds[kind].singular} '{name}'"
        return unusable(suspects[0], asked) if suspects else None


def load_plugins(environ: Mapping[str, str] = os.environ, *, enabled: bool = True) -> Plugins:
    """Load every installed plugin, each in isolation.

    Args:
        environ: `CREATE_LLM_PLUGINS=a,b` restricts loading to these names (empty: none);
            `CREATE_LLM_STRICT=1` makes a plugin's failure an error.
        enabled: False loads none (`--no-plugins`).

    Raises:
        PluginError: a plugin failed, and `CREATE_LLM_STRICT=1`.
    """
    only = environ.get("CREATE_LLM_PLUGINS")
    wanted = None if only is None else {name.strip() for name in only.split(",")}
    strict = environ.get("CREATE_LLM_STRICT") == "1"
    manager, registry = _manager(), Registry()
    records = [_load(manager, CORE, registry, strict=True)]
    found = installed_plugins()
    loading = [p for p in found if enabled and (wanted is None or p.name in wanted)]
    # All kinds before the first part: an owner's name may come after those of its guests.
    failed = {plugin: take_kinds(manager, plugin, registry) for plugin in loading}
    for plugin in found:
        if plugin in failed:
            record = _load(manager, plugin, registry, strict=strict, failed=failed[plugin])
            records.append(record)
        else:
            records.append(PluginRecord(plugin, "disabled"))
    plugins = Plugins(tuple(records), registry)
    registry.explain_missing = plugins.explain_missing
    return plugins


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("create_llm")
    manager.add_hookspecs(hookspecs)
    return manager


@cache
def default_plugins() -> Plugins:
    """The plugins of this process, for callers that did not load them themselves."""
    return load_plugins()


def _load(
    manager: pluggy.PluginManager,
    plugin: InstalledPlugin,
    registry: Registry,
    *,
    strict: bool,
    failed: BaseException | None = None,
) -> PluginRecord:
    """Args:
    failed: what went wrong when its kinds were taken.
    """
    stage = _Stage(plugin, registry)
    try:
        if failed is not None:
            raise failed
        # Output of a plugin's import would otherwise end up inside `--json`.
        with contextlib.redirect_stdout(sys.stderr):
            module = import_module(plugin.module)
            _collect(manager, module, stage)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, and the panics of compiled extensions
        words, place = _in_words(error), place_of(plugin.module, error)
        record = PluginRecord(plugin, "failed", words, tuple(stage.parts), place)
        if strict:
            raise unusable(record) from error
        return record
    for part in stage.parts:
        registry.add(part)
    return PluginRecord(plugin, "loaded", None, tuple(stage.parts))


def _in_words(error: BaseException) -> str:
    # What the kernel itself found wrong is a sentence already.
    return error.what if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"


def _collect(manager: pluggy.PluginManager, module: ModuleType, stage: _Stage) -> None:
    """Call the module's hooks, and only this module's, with a staging `register`."""
    _check_hooks(manager, module, [kind.hook for kind in stage.kinds.values()])
    # Registered for the length of these calls, so that no other plugin's hooks answer them.
    manager.register(module, name=f"{stage.plugin.distribution}/{stage.plugin.name}")
    try:
        for kind in stage.kinds.values():
            getattr(manager.hook, kind.hook)(register=stage.register_for(kind.name))
    finally:
        manager.unregister(module)
    if not stage.parts:
        raise PluginError(f"{module.__name__} registers nothing; is @hookimpl there?")


def _check_hooks(manager: pluggy.PluginManager, module: ModuleType, hooks: Sequence[str]) -> None:
    """Raise PluginError for a hook that pluggy would never call: misspelt, or unmarked.

    One that is optional may be of a kind whose owner is not installed.
    """
    functions = [name for name, value in vars(module).items() if callable(value)]
    for name in functions:
        options = manager.parse_hookimpl_opts(module, name)
        if options is None and name in hooks:
            raise PluginError(f"'{name}' in {module.__name__} lacks @hookimpl")
        hook = name if options is None else options.get("specname") or name
        if options is not None and hook not in hooks and not options.get("optionalhook"):
            match = nearest(hook, hooks)
            hint = f"; did you mean '{match}'?" if match else f"; hooks are: {', '.join(hooks)}"
            raise PluginError(f"'{hook}' in {module.__name__} is not a hook{hint}")


class _Stage:
    """Collects one plugin's registrations, checked, before any of them counts."""

    def __init__(self, plugin: InstalledPlugin, registry: Registry) -> None:
        self.plugin = plugin
        self.parts: list[Part] = []
        self.kinds = registry.kinds
        self._core_names = {
            (part.kind, part.name)
            for kind in KINDS
            for part in registry.parts(kind)
            if part.distribution == CORE.distribution
        }

    def register_for(self, kind: str) -> hookspecs.Register:
        def register(
            name: str,
            target: str,
            *,
            summary: str,
            config: str | None = None,
            requires: tuple[str, ...] = (),
            schemes: tuple[str, ...] = (),
        ) -> None:
            part = Part(
                kind=kind,
                name=name,
                target=target,
                summary=summary,
                config=config,
                requires=tuple(requires),
                plugin=self.plugin.name,
                distribution=self.plugin.distribution,
                schemes=tuple(schemes),
            )
            self._check(part)
            self.parts.append(part)

        return register

    def _check(self, part: Part) -> None:
        """Raise PluginError for a registration that could not work."""
        singular = self.kinds[part.kind].singular
        if not part.name or "/" in part.name or part.name != part.name.strip():
            raise PluginError(f"'{part.name}' cannot be the name of a {singular}")
        _check_target(part.target)
        if part.config is not None:
            _check_target(part.config)
        if (part.kind, part.name) in self._core_names:
            raise PluginError(
                f"{singular} '{part.name}' belongs to the core and cannot be replaced; "
                "register it under another name"
            )
        if any((staged.kind, staged.name) == (part.kind, part.name) for staged in self.parts):
            raise PluginError(f"{singular} '{part.name}' is registered twice by one plugin")
        _check_requirements(part.requires, self.kinds)


def _check_target(target: str) -> None:
    module, _, attribute = target.partition(":")
    if not module or not attribute:
        raise PluginError(f"target '{target}' is not of the form 'module:attribute'")


def _check_requirements(requires: Iterable[str], kinds: Collection[str]) -> None:
    for requirement in requires:
        kind, _, name = requirement.partition("/")
        if kind not in kinds or not name:
            raise PluginError(f"requirement '{requirement}' is not of the form 'kind/name'")


def unusable(record: PluginRecord, where: str | None = None) -> PluginError:
    """The error that says why a plugin that failed or is switched off cannot be used."""
    plugin = record.plugin
    if record.status == "disabled":
        return PluginError(
            f"plugin '{plugin.name}' ({plugin.distribution}) is switched off",
            where=where,
            fixes=("drop --no-plugins, or add it to CREATE_LLM_PLUGINS",),
        )
    source = record.place or f"its entry point, which names the module '{plugin.module}'"
    return PluginError(
        f"plugin '{plugin.name}' ({plugin.distribution} {plugin.version}) failed to load: "
        f"{record.error}",
        where=_place_and_asker(record.place, where),
        fixes=(
            *repairs(plugin.distribution, plugin.name, source),
            "see the whole story: llm doctor",
        ),
    )


def _place_and_asker(place: str | None, asker: str | None) -> str | None:
    return f"{place} (asked for: {asker})" if place and asker else place or asker


def failure_line(record: PluginRecord) -> str:
    """One line for the terminal about a plugin that failed and that nobody asked for."""
    failed = replace(record, error=(record.error or "").splitlines()[0])
    return f"warning: {unusable(failed).what} (llm doctor says more)"
