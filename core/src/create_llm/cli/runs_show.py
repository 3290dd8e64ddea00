"""llm runs show: how far a run has come, and what it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import live_runs, run_called, runs_of_project
from create_llm.cli.units import duration, size
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm.runs.run import RunFolder

_MORE = (
    ("val bits per byte", "val_bits_per_byte"),
    ("val loss", "val_loss"),
    ("stopped by", "stopped_by"),
    ("model", "model"),
)


@click.command("show", epilog="\b\nExamples:\n  llm runs show\n  llm runs show 20260101-120000")
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON on stdout.")
@click.pass_obj
def show(app: App, run: str | None, as_json: bool) -> None:
    """One run: how far it is, what it takes, how to go on; by default the live or newest one."""
    runs = runs_of_project(app)
    show_run(run_called(run, runs) if run else _meant(runs), runs, as_json=as_json)


def show_run(run: RunFolder, runs: list[RunFolder], *, as_json: bool) -> None:
    """Print what the files of one of the project's runs say of it."""
    from create_llm.runs.report import report

    facts = report(run, newest=run.name == runs[-1].name)
    summary = run.summary()
    if as_json:
        click.echo(json.dumps({**facts, **summary, "manifest": run.manifest()}))
        return
    for name, value in (*_lines(facts), *((name, summary.get(key)) for name, key in _MORE)):
        if value is not None:
            click.echo(f"{name:<18} {_text(value)}")


def _meant(runs: list[RunFolder]) -> RunFolder:
    if not runs:
        raise ConfigError("there are no runs yet", fixes=("start one: llm train",))
    return (live_runs(runs) or runs)[-1]


def _lines(facts: Mapping[str, object]) -> list[tuple[str, object]]:
    """Name and value, in the order in which one would ask."""
    total, step, best = facts["total_steps"], facts["step"], facts["best_val_loss"]
    saved = facts["checkpoint"]
    return [
        ("run", facts["run"]),
        (
            "status",
            f"{facts['status']} ({facts['process']})" if facts["process"] else facts["status"],
        ),
        ("step", f"{step} of {total}" if total else step),
        ("elapsed", _duration(facts["elapsed_seconds"])),
        ("remaining", _about(facts["remaining_seconds"])),
        ("speed", _rate(facts["tokens_per_second"])),
        ("memory", _bytes(facts["memory_bytes"])),
        ("device", facts["device"]),
        (
            "best val loss",
            f"{_text(best)} (step {facts['best_step']})" if best is not None else None,
        ),
        (
            "last checkpoint",
            f"{Path(str(saved)).name}, {_bytes(facts['checkpoint_bytes'])}" if saved else "none",
        ),
        ("disk", _bytes(facts["disk_bytes"])),
        ("go on", facts["resume"]),
    ]


def _text(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _rate(value: object) -> str | None:
    return f"{value:,.0f} tokens/s" if isinstance(value, float) else None


def _about(seconds: object) -> str | None:
    duration = _duration(seconds)
    return f"about {duration}" if duration else None


def _duration(seconds: object) -> str | None:
    return duration(seconds) if isinstance(seconds, int | float) else None


def _bytes(count: object) -> str | None:
    return size(count) if isinstance(count, int) else None
