"""`llm train --like V`: the flags of a run that begins with the recipe of another."""

from __future__ import annotations

from collections.abc import Mapping

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import history_of_project
from create_llm.errors import ConfigError

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
    entry = entry_called(name, history_of_project(app))
    preset = save_recipe(find_project(app.root), name, entry.config)
    if times := len(entry.manifest.get("remedies", [])):
        click.echo(
            f"note: the run of {name} went back {'once' if times == 1 else f'{times} times'} to "
            "learn otherwise; one like it begins as that did. To have all of it again: "
            f"llm runs reproduce {name}",
            err=True,
        )
    return {_KEY: (preset, "--like"), **flags}
