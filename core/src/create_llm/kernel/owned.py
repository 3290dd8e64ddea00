"""Kinds that plugins own: `KINDS = (Kind(…),)` in a plugin's module."""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module

import pluggy

from create_llm import hookspecs
from create_llm.errors import PluginError
from create_llm.kernel.entry_points import InstalledPlugin
from create_llm.kernel.kinds import Kind
from create_llm.kernel.registry import Registry


def take_kinds(
    manager: pluggy.PluginManager, plugin: InstalledPlugin, registry: Registry
) -> BaseException | None:
    """Import a plugin's module and take the kinds that it owns; returns what went wrong."""
    try:
        # Output of a plugin's import would otherwise end up inside `--json`.
        with contextlib.redirect_stdout(sys.stderr):
            module = import_module(plugin.module)
        # Not getattr: a module may answer to any name.
        for kind in vars(module).get("KINDS", ()):
            if not isinstance(kind, Kind):
                raise PluginError(f"KINDS in {module.__name__} holds {kind!r}, which is no Kind")
            registry.add_kind(kind)
            manager.add_hookspecs(spec_of(kind))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, and the panics of compiled extensions
        return error
    return None


def spec_of(kind: Kind) -> type:
    """What pluggy reads the hook of a kind from; these hooks are all alike."""

    @hookspecs.hookspec
    def hook(register: hookspecs.Register) -> None: ...

    return type(kind.name, (), {kind.hook: staticmethod(hook)})
