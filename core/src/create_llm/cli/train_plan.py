"""llm train --plan: what a run would take, as a table."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.progress import STARTING, progress_bars_until, say_on_terminal
from create_llm.cli.tables import show_table
from create_llm.cli.typed import Flags, beginning_with
from create_llm.cli.units import count, counted, duration, size
from create_llm.errors import Interrupted
from create_llm.interrupts import leaving_at_once, signal_of, told_as

if TYPE_CHECKING:
    from create_llm.training.preview import Preview

_BEFORE = "stopped before the plan was made. Tokenizer and data, if they were finished, are kept."

_TRYING = "Building the model and timing a few of its steps …"

_SET_BY = {
    "max_steps": "training.max_steps",
    "epochs": "training.epochs",
    "max_seconds": "training.max_seconds, at the speed below",
}


def plan_training(app: App, flags: Flags, *, resume: str, as_json: bool) -> None:
    """Print what a run in the project at `app.root` would take."""
    from create_llm.project.folder import find_project

    project = find_project(app.root)
    say_on_terminal(STARTING)
    beginning = beginning_with(app, project, flags, resume)

    with leaving_at_once(f"Interrupted: {_BEFORE}"):
        from create_llm.training.job import Surroundings
        from create_llm.training.preview import preview

    try:
        around = Surroundings(progress=partial(progress_bars_until, _TRYING))
        plan = preview(beginning.project, beginning.config, app.plugins, around)
    except KeyboardInterrupt as interrupt:
        raise Interrupted(_BEFORE, signal_number=told_as(signal_of(interrupt))) from None
    _show(plan, as_json=as_json)


def _show(plan: Preview, *, as_json: bool) -> None:
    if plan.prepared:
        made = " and ".join(plan.prepared)
        click.echo(f"Made for this plan, and kept for the run: {made}", err=True)
    if as_json:
        click.echo(json.dumps(asdict(plan)))
        return
    show_table(("what", "plan", "details"), [*_work(plan), *_cost(plan), *_choices(plan)], {})
    click.echo("Nothing was trained. To begin: the same command without --plan")


def _work(plan: Preview) -> list[tuple[str, str, str]]:
    return [
        ("parameters", count(plan.parameters), ""),
        (
            "tokens an epoch",
            count(plan.tokens_per_epoch),
            f"{plan.steps_per_epoch:,.1f} steps of {count(plan.tokens_per_step)} tokens",
        ),
        (
            "steps",
            count(plan.steps),
            f"{plan.epochs:,.1f} epochs; set by {_SET_BY[plan.steps_set_by]}",
        ),
        *_mixture(plan),
    ]


def _mixture(plan: Preview) -> list[tuple[str, str, str]]:
    from create_llm.training.mixing import passes_in_words

    if not plan.passes:
        return []
    return [("mixture", counted(len(plan.passes), "source"), passes_in_words(plan.passes))]


def _cost(plan: Preview) -> list[tuple[str, str, str]]:
    stops = (
        f"evaluations: {count(plan.evaluations)}, samples: {count(plan.samples)}, "
        f"saves: {count(plan.checkpoints)}"
    )
    free = size(plan.available_memory_bytes)
    memory = f"at the peak, the program included; {free} are free"
    if plan.memory_unknown is not None:
        memory = f"at least: the model could not be tried without values ({plan.memory_unknown})"
    return [
        ("memory", size(plan.peak_memory_bytes), memory),
        (
            "disk",
            size(plan.disk_bytes),
            f"up to {size(plan.disk_most_bytes)} on the way; a checkpoint is "
            f"{size(plan.checkpoint_bytes)}; {size(plan.disk_free_bytes)} are "
            "free",
        ),
        (
            "time",
            _range(duration(plan.seconds_low), duration(plan.seconds_high)),
            f"{count(plan.tokens_per_second)} tokens/s in a trial of a few steps; {stops}",
        ),
    ]


def _choices(plan: Preview) -> list[tuple[str, str, str]]:
    recomputed = "on" if plan.gradient_checkpointing else "off"
    return [
        ("precision", plan.precision, plan.precision_reason),
        ("compile", plan.compile, plan.compile_reason),
        ("gradient checkpointing", recomputed, "training.gradient_checkpointing"),
        ("device", plan.device, f"{counted(plan.threads, 'thread')}; {plan.hardware_words}"),
    ]


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} – {high}"
