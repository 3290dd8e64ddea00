"""What the verbs of `llm runs` share: finding runs by name, or the one that is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm.cli.app import App
from create_llm.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from create_llm.runs.run import RunFolder

_SEE = "see them: llm runs list"


def runs_of_project(app: App) -> list[RunFolder]:
    """All runs of the project at `app.root`, oldest first."""
    from create_llm.config import load_config
    from create_llm.project.folder import find_project
    from create_llm.runs.run import runs_of

    project = find_project(app.root)
    config = load_config(project.root, app.plugins, overrides=app.overrides)
    return list(runs_of(project.root / config.logging.log_dir, project.checkpoints))


def run_called(name: str, runs: list[RunFolder]) -> RunFolder:
    """The run of that name.

    Raises:
        ConfigError: there is none; with the nearest name.
    """
    for run in runs:
        if run.name == name:
            return run
    raise ConfigError(
        f"there is no run called '{name}'",
        fixes=(*did_you_mean(name, [run.name for run in runs]), _SEE),
    )


def live_runs(runs: list[RunFolder]) -> list[RunFolder]:
    """Those that a process is working on."""
    from create_llm.runs.report import LIVE

    return [run for run in runs if run.status() == LIVE]
