"""What the verbs of `llm runs` share: finding runs by name, or the one that is meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.errors import ConfigError, StorageError, did_you_mean

if TYPE_CHECKING:
    from create_llm.runs.history import Entry
    from create_llm.runs.run import RunFolder

LOW_DISK_BYTES = 2_000_000_000
"""Less than this is told: `llm doctor` asks for as much."""
_SUGGESTED = 3
_SEE = "see them: llm runs list"


def runs_of_project(app: App) -> list[RunFolder]:
    """All runs of the project at `app.root`, oldest first."""
    from create_llm.config import load_config
    from create_llm.project.folder import find_project
    from create_llm.runs.run import runs_of

    project = find_project(app.root)
    config = load_config(project.root, app.plugins, overrides=app.overrides)
    return list(runs_of(project.root / config.logging.log_dir, project.checkpoints))


def history_of_project(app: App) -> list[Entry]:
    """The runs of the project and the versions they made, oldest first."""
    from create_llm.project.folder import find_project
    from create_llm.runs.history import history

    return history(find_project(app.root).models, runs_of_project(app))


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


def say_if_disk_is_low(app: App, entries: Sequence[Entry]) -> None:
    """On stderr: how much is free, and what could go. Nothing where there is enough."""
    import shutil

    from create_llm.cli.units import size

    free = shutil.disk_usage(app.root).free
    if free >= LOW_DISK_BYTES:
        return
    click.echo(f"note: {size(free)} free on the disk of {app.root}", err=True)
    for line in what_could_go(entries):
        click.echo(f"  try: {line}", err=True)


def what_could_go(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The commands that free most, each with how much; neither active, best nor live ones."""
    from create_llm.cli.units import size
    from create_llm.runs.removal import spare

    return tuple(
        f"llm runs remove {room.name}   frees {size(room.bytes)}"
        + ("; to keep the model: llm runs archive " + room.name if room.model else "")
        for room in spare(entries)[:_SUGGESTED]
    )


def with_what_could_go(app: App, error: StorageError) -> StorageError:
    """An error for want of space with what could make room here; any other as it is."""
    from create_llm.storage.problems import KEEP_FEWER

    if KEEP_FEWER not in error.fixes:
        return error
    more = what_could_go(history_of_project(app))
    return StorageError(error.what, where=error.where, fixes=(*error.fixes, *more))
