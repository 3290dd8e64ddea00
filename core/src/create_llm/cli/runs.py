"""llm runs: what has been trained here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import runs_of_project
from create_llm.cli.runs_pause import pause
from create_llm.cli.runs_show import show

if TYPE_CHECKING:
    from create_llm.runs.run import RunFolder


@click.group(epilog="\b\nExamples:\n  llm runs list\n  llm runs pause 20260101-120000")
def command() -> None:
    """The runs of this project, and requests to live ones."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON on stdout.")
@click.pass_obj
def list_runs(app: App, as_json: bool) -> None:
    """All runs, oldest first: which are live, and how the others ended."""
    rows = [_row(run) for run in runs_of_project(app)]
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
        note = f"({row['process']})" if row["process"] else version
        steps = row["steps"] or ""
        click.echo(f"{row['run']:<18} {row['status']:<12} {steps:>8} {figure:>10}  {note}".rstrip())


def _row(run: RunFolder) -> dict[str, object]:
    from create_llm.runs.lock import holder_of
    from create_llm.runs.report import LIVE

    summary, status = run.summary(), run.status()
    holder = holder_of(run.path) if status == LIVE else None
    keys = ("val_loss", "val_bits_per_byte", "model", "parameters")
    return {
        "run": run.name,
        "status": status,
        "process": str(holder) if holder else None,
        # A run without a summary is live or was killed: its checkpoints tell how far it is.
        "steps": summary.get("steps", max(run.steps(), default=None)),
        **{key: summary.get(key) for key in keys},
    }


command.add_command(show)
command.add_command(pause)
