"""What to do about a plugin that does not load: update it if it is ours, mend it if it is yours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path

from create_llm.kernel.catalogue import catalogue


def repairs(distribution: str, plugin: str, source: str) -> tuple[str, str]:
    """Two fixes for a plugin, or a part of it, that does not load.

    Args:
        source: what its author would mend, in words.
    """
    remove = f"or remove it: llm plugins uninstall {distribution}"
    if distribution in catalogue():
        return f"update it: llm plugins install {distribution} --upgrade", remove
    return f"if it is yours: mend {source}, then: llm plugins test {plugin}", remove


def place_of(module: str, error: BaseException) -> str | None:
    """Where to look for the reason of an error that loading a module led to; imports nothing.

    Returns:
        file:line, the last one in the module's own package that the error came through; else the
        module's file, and None where there is no such module.
    """
    specs = _specs(module)
    line = _last_line(error, specs[0]) if specs else None
    found = len(specs) == len(module.split(".")) and specs[-1].has_location
    return line or (specs[-1].origin if found else None)


def _specs(module: str) -> list[ModuleSpec]:
    """Of the packages above a module and of itself, outermost first, as far as there are any."""
    specs: list[ModuleSpec] = []
    folders: Sequence[str] | None = None
    names = module.split(".")
    for depth in range(1, len(names) + 1):
        # Not importlib's own find_spec: it imports the packages above.
        name = ".".join(names[:depth])
        finding = (finder.find_spec(name, folders) for finder in sys.meta_path)
        found = next((spec for spec in finding if spec), None)
        if found is None:
            break
        specs.append(found)
        folders = found.submodule_search_locations or ()
    return specs


def _last_line(error: BaseException, package: ModuleSpec) -> str | None:
    import traceback

    homes = package.submodule_search_locations or [package.origin or ""]
    lines = [(at.f_code.co_filename, line) for at, line in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append((error.filename, error.lineno or 1))
    own = [
        f"{file}:{line}"
        for file, line in lines
        if any(Path(file).is_relative_to(home) for home in homes if home)
    ]
    return own[-1] if own else None
