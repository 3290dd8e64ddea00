"""Options that are another way to write keys of llm.toml: what is wrong with them, as typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from create_llm.cli.app import App
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from create_llm.config import Config
    from create_llm.errors import CreateLLMError

Flags = Mapping[str, tuple[object, str]]
"""Dotted key → (value, the option as typed)."""


def config_with(app: App, root: Path, flags: Flags) -> Config:
    """The configuration of a project, with options of the command line.

    Raises:
        ConfigError: what is wrong with an option is told by its name.
    """
    from create_llm.config import ConfigProblems, load_config

    try:
        return load_config(root, app.plugins, flags=flags, overrides=app.overrides)
    except ConfigProblems as error:
        told = {problem.what: problem for problem in _as_typed(error.problems, flags)}
        raise ConfigProblems(told.values()) from None


def _as_typed(problems: tuple[CreateLLMError, ...], flags: Flags) -> list[CreateLLMError]:
    keys = [(key, option) for key, (_, option) in flags.items()]
    found = []
    for problem in problems:
        of = [k for k, option in keys if option == problem.where and problem.what.startswith(k)]
        found.append(_of_option(problem, of[0]) if of else problem)
    return found


def _of_option(problem: CreateLLMError, key: str) -> ConfigError:
    """Examples and defaults of llm.toml do not help whoever typed an option."""
    return ConfigError(
        problem.what.replace(key, str(problem.where), 1),
        fixes=(
            f"what it does, and which values it takes: llm config explain {key}",
            "leave it out: llm.toml decides then",
        ),
    )
