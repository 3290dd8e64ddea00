"""Options that are another way to write keys of llm.toml: what is wrong with them, as typed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from create_llm.cli.app import App
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from create_llm.config import Config
    from create_llm.config.values import Entries
    from create_llm.errors import CreateLLMError
    from create_llm.project.folder import Project
    from create_llm.training.initial import Beginning

Flags = Mapping[str, tuple[object, str]]
"""Dotted key → (value, the option as typed)."""


def beginning_with(app: App, project: Project, flags: Flags, resume: str) -> Beginning:
    """The configuration of a run, with options of the command line and the model to begin with.

    Raises:
        CreateLLMError: what is wrong with an option, or with that model.
    """
    from create_llm.cli.models import say
    from create_llm.training.initial import begin_with

    load = partial(config_with, app, project.root, flags)
    beginning = begin_with(project, app.plugins.registry, load, resume)
    if beginning.taken is not None:
        say(beginning.taken)
    return beginning


def config_with(app: App, root: Path, flags: Flags, given: Entries | None = None) -> Config:
    """The configuration of a project, with options of the command line.

    Args:
        given: as `load_config` takes it.

    Raises:
        ConfigError: what is wrong with an option is told by its name.
    """
    from create_llm.config import ConfigProblems, load_config

    try:
        return load_config(
            root, app.plugins, flags=flags, overrides=app.overrides, given=given or {}
        )
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
