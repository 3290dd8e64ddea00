"""llm runs: what has been trained here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from create_llm.runs.run import RunFolder


@click.group(epilog="\b\nExamples:\n  llm runs list\n  llm runs pause 20260101-120000")
def command() -> None:
    """The runs of this project, and requests to live ones."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON on stdout.")
@click.pass_obj
def list_runs(app: App, as_json: bool) -> None:
    """All runs, oldest first, with how they ended."""
    rows = [_row(run) for run in _runs(app)]
    if as_json:
        click.echo(json.dumps({"runs": rows}))
        return
    if not rows:
        click.echo("No runs yet. Start one: llm train")
        return
    click.echo(f"{'RUN':<18} {'STATUS':<12} {'STEPS':>8} {'BITS/BYTE':>10}  MODEL")
    for row in rows:
        score, model = row["val_bits_per_byte"], row["model"]
        figure = f"{score:.3f}" if isinstance(score, float) else ""
        version = Path(str(model)).name if model else ""
        steps = row["steps"] or ""
        click.echo(f"{row['run']:<18} {row['status']:<12} {steps:>8} {figure:>10}  {version}")


@command.command("show")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON on stdout.")
@click.pass_obj
def show(app: App, run: str, as_json: bool) -> None:
    """One run: its summary, or what is known of it so far."""
    found = _find(app, run)
    facts = {"run": found.name, "status": found.status(), **found.summary()}
    if as_json:
        click.echo(json.dumps({**facts, "manifest": found.manifest()}))
        return
    for name, value in facts.items():
        if value is not None:
            shown = f"{value:,.4g}" if isinstance(value, float) else value
            click.echo(f"{name.replace('_', ' '):<18} {shown}")


@command.command("pause")
@click.argument("run")
@click.pass_obj
def pause(app: App, run: str) -> None:
    """Ask a live run to save a checkpoint and stop; `llm train` goes on from there."""
    from create_llm.runs.control import Control, Request

    found = _find(app, run)
    if found.status() != "running":
        raise ConfigError(
            f"run {run} is not live: it is {found.status()}", fixes=("llm runs list",)
        )
    Control(found.path).send(Request.PAUSE)
    click.echo(f"Asked run {run} to pause; it saves a checkpoint and ends with exit code 78.")


def _runs(app: App) -> list[RunFolder]:
    from create_llm.config import load_config
    from create_llm.project.folder import find_project
    from create_llm.runs.run import runs_of

    project = find_project(app.root)
    config = load_config(project.root, app.plugins, overrides=app.overrides)
    return list(runs_of(project.root / config.logging.log_dir, project.checkpoints))


def _find(app: App, name: str) -> RunFolder:
    runs = _runs(app)
    for run in runs:
        if run.name == name:
            return run
    raise ConfigError(
        f"there is no run called '{name}'",
        fixes=(*did_you_mean(name, [run.name for run in runs]), "see them: llm runs list"),
    )


def _row(run: RunFolder) -> dict[str, object]:
    summary = run.summary()
    keys = ("steps", "val_loss", "val_bits_per_byte", "model", "parameters")
    return {"run": run.name, "status": run.status(), **{key: summary.get(key) for key in keys}}
