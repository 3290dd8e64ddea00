"""`llm train --like V`: the flags of a run that begins with the recipe of another."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import history_of_project
from create_llm.errors import ConfigError, CreateLLMError

if TYPE_CHECKING:
    from create_llm.project.folder import Project
    from create_llm.runs.history import Entry

_KEY = "project.preset"


def flags_like(
    app: App, name: str, flags: Mapping[str, tuple[object, str]]
) -> dict[str, tuple[object, str]]:
    """The flags that were given, and the recipe of a version or run as a preset of the project.

    Raises:
        ConfigError: there is no such version or run, or a preset is named as well.
        DataError: nothing is known of its settings.
    """
    from create_llm.project.folder import find_project
    from create_llm.runs.history import entry_called
    from create_llm.runs.recipe import save_recipe

    if _KEY in flags:
        raise ConfigError(
            "--like and --preset both say what to begin with",
            where=f"--like {name} --preset {flags[_KEY][0]}",
            fixes=("leave one of them out", "change single keys beside it: --set section.key=…"),
        )
    project, entry = find_project(app.root), entry_called(name, history_of_project(app))
    preset = save_recipe(project, name, entry.config)
    if "training.init" not in flags:
        _say_if_it_began_otherwise(project, entry)
    if times := len(entry.manifest.get("remedies", [])):
        click.echo(
            f"note: the run of {name} went back {'once' if times == 1 else f'{times} times'} to "
            "learn otherwise; one like it begins as that did. To have all of it again: "
            f"llm runs reproduce {name}",
            err=True,
        )
    return {_KEY: (preset, "--like"), **flags}


def _say_if_it_began_otherwise(project: Project, entry: Entry) -> None:
    from create_llm.cli.models import say
    from create_llm.training.initial import origin_now

    if (then := entry.origin) is None:
        return
    with contextlib.suppress(CreateLLMError):  # what is not there is told where it is read
        now = origin_now(project, entry.config, then)
        if now.weights_sha256 != then.weights_sha256:
            say(
                f"{entry.name} began with {then}, and that is {now} now: this run begins with "
                "another model than that did"
            )
