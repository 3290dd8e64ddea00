"""llm train: the whole pipeline, whatever is missing first."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from create_llm.cli.app import App
from create_llm.errors import Interrupted, Paused
from create_llm.interrupts import leaving_at_once, signal_of, told_as

if TYPE_CHECKING:
    from create_llm.runs.run import RunFolder
    from create_llm.training.finish import Ended

_EXAMPLES = """\b
Examples:
  llm train
  llm train --max-steps 300 --learning-rate 1e-3
  llm train --corpus-path book.txt --set model.layers=4
  llm train --plan
  llm train --preset pipeline --corpus-path books
"""

_BEFORE = (
    "stopped before training began. Nothing that was saved is lost; run the same command again."
)

# Flags that are another way to write keys of llm.toml.
_KEYS = {
    "corpus_path": ("data.train_path",),
    "learning_rate": ("training.learning_rate",),
    "epochs": ("training.epochs",),
    "max_steps": ("training.max_steps",),
    "max_seconds": ("training.max_seconds",),
    "batch_size": ("training.batch_size",),
    "max_seq_length": ("model.max_length", "data.max_length"),
    "seed": ("training.seed",),
    "device": ("training.device",),
    "preset": ("project.preset",),
}


@click.command(epilog=_EXAMPLES)
@click.option("--corpus-path", type=click.Path(), help="Text to train on, instead of data/raw.")
@click.option("--learning-rate", type=float, help="The highest learning rate of the run.")
@click.option("--epochs", type=int, help="Passes over the text; the run may end before.")
@click.option("--max-steps", type=int, help="Optimizer updates of the whole run.")
@click.option("--max-seconds", type=float, help="As many updates as fit into this time.")
@click.option("--batch-size", type=int, help="Sequences in one forward pass.")
@click.option("--max-seq-length", type=int, help="Tokens the model reads at once.")
@click.option(
    "--resume", default="auto", show_default=True, metavar="auto|never|RUN", help="What to go on."
)
@click.option("--seed", type=int, help="The same seed gives the same run.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="Where to run.")
@click.option(
    "--preset", metavar="NAME", help="A recipe: an installed preset, or one in training/presets."
)
@click.option("--plan", is_flag=True, help="Say what the run would take, and do not train.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON on stdout.")
@click.pass_obj
def command(app: App, /, *, resume: str, plan: bool, as_json: bool, **options: object) -> None:
    """Train a model on the project's text; does whatever is missing first.

    Trains the tokenizer, prepares the data, trains the model, saves it as models/vN. Ctrl-C saves
    a checkpoint and stops; the same command goes on from there.
    """
    if plan:
        from create_llm.cli.train_plan import plan_training

        plan_training(app, _flags(options), as_json=as_json)
        return
    ended = run_training(app, _flags(options), resume=resume)
    if as_json:
        click.echo(json.dumps(ended.summary))
    else:
        _report(ended)


def run_training(app: App, flags: dict[str, tuple[object, str]], *, resume: str) -> Ended:
    """Train in the project at `app.root`; shared by every verb that trains.

    Raises:
        Paused, Interrupted: the run stopped early and can go on; says with which command.
    """
    from create_llm.cli.progress import progress_bars
    from create_llm.config import load_config
    from create_llm.project.folder import find_project
    from create_llm.runs.run import run_folder

    project = find_project(app.root)
    config = load_config(project.root, app.plugins, flags=flags, overrides=app.overrides)

    # These import torch, which takes seconds: a wrong configuration is told before.
    with leaving_at_once(f"Interrupted: {_BEFORE}"):
        from create_llm.training.job import Surroundings
        from create_llm.training.launch import train

    around = Surroundings(
        resume=resume,
        ask=_ask if sys.stdin.isatty() else None,
        progress=progress_bars,
        notice=lambda message: click.echo(f"warning: {message}", err=True),
        command=tuple(sys.argv),
    )
    try:
        ended = train(project, config, app.plugins, around)
    except KeyboardInterrupt as interrupt:
        raise Interrupted(_BEFORE, signal_number=told_as(signal_of(interrupt))) from None
    _raise_if_cut_short(
        ended, run_folder(project.root / config.logging.log_dir, project.checkpoints, ended.run)
    )
    return ended


def _flags(options: dict[str, Any]) -> dict[str, tuple[object, str]]:
    given = {name: value for name, value in options.items() if value is not None}
    return {
        key: (value, f"--{name.replace('_', '-')}")
        for name, value in given.items()
        for key in _KEYS[name]
    }


def _ask(question: str) -> bool:
    return click.confirm(question, default=True, err=True)


def _raise_if_cut_short(ended: Ended, run: RunFolder) -> None:
    if ended.stop.status not in ("paused", "interrupted"):
        return
    from create_llm.runs.report import resume_command

    step, saved = ended.summary["steps"], max(run.steps(), default=None)
    fixes = (f"go on from there: {resume_command(run)}",)
    if saved is None:
        what = f"run {run.name} stopped after step {step} and has no checkpoint"
        fixes = (f"begin again: {resume_command(run)}",)
    elif saved < step:
        what = f"run {run.name} stopped after step {step}; its newest checkpoint is step {saved}"
    else:
        what = f"run {run.name} saved step {step} and stopped"
    if ended.stop.status == "paused":
        raise Paused(what, fixes=fixes)
    number = told_as(ended.stop.signal_number or signal.SIGINT)
    raise Interrupted(what, signal_number=number, fixes=fixes)


def _seen_from_here(path: str) -> str:
    return (
        str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path
    )


def _report(ended: Ended) -> None:
    summary = ended.summary
    if summary["val_loss"] is not None:
        bits = summary["val_bits_per_byte"]
        scored = "" if bits is None else f"val bits per byte {bits:.3f}   "
        speed = f"{summary['tokens_per_second']:,.0f} tokens/s"
        click.echo(f"{scored}val loss {summary['val_loss']:.3f}   {speed}")
    click.echo(f"Saved as {_seen_from_here(summary['model'])}")
    writes = 'llm generate --prompt "…"   llm chat   ' if ended.generates else ""
    click.echo(f"Next: {writes}llm evaluate")
