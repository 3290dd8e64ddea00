"""llm train: the whole pipeline, whatever is missing first."""

from __future__ import annotations

import json
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from create_llm.cli.app import App
from create_llm.cli.callback_flags import CommandWithCallbacks, attached
from create_llm.cli.found_runs import with_what_could_go
from create_llm.cli.progress import STARTING, progress_bars_until, say_on_terminal
from create_llm.cli.train_report import against_the_one_before, show_ended
from create_llm.cli.typed import Flags, beginning_with
from create_llm.cli.units import count
from create_llm.errors import Interrupted, Paused, StorageError
from create_llm.interrupts import leaving_at_once, signal_of, told_as

if TYPE_CHECKING:
    from create_llm.runs.run import RunFolder
    from create_llm.training.course import Course
    from create_llm.training.finish import Ended

_EXAMPLES = """\b
Examples:
  llm train
  llm train --max-steps 300 --learning-rate 1e-3
  llm train --corpus-path book.txt --set model.layers=4
  llm train --plan
  llm train --preset pipeline --corpus-path books
  llm train --init v1 --corpus-path letters.txt --learning-rate 1e-4
"""

_BEFORE = (
    "stopped before training began. Nothing that was saved is lost; run the same command again."
)
_BUILDING = (
    "Building the model and timing its first steps; if the run is long, compiling it too, which "
    "takes a minute …"
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
    "init": ("training.init",),
}


@click.command(cls=CommandWithCallbacks, epilog=_EXAMPLES)
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
@click.option("--like", metavar="V", help="The recipe of a version, or of a run.")
@click.option("--init", metavar="V", help="Begin with the weights of a version or bundle folder.")
@click.option("--plan", is_flag=True, help="Say what the run would take, and do not train.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON on stdout.")
@click.pass_obj
def command(
    app: App, /, *, resume: str, plan: bool, like: str | None, as_json: bool, **options: object
) -> None:
    """Train a model on the project's text; does whatever is missing first.

    Trains the tokenizer, prepares the data, trains the model, saves it as models/vN. Ctrl-C saves
    a checkpoint and stops; the same command goes on from there.
    """
    if options["init"] is not None:
        options["init"] = _from_here(app, str(options["init"]))
    flags: Flags = {**_flags(options), **attached(click.get_current_context())}
    if like is not None:
        from create_llm.cli.like import flags_like

        flags = flags_like(app, like, flags)
    if plan:
        from create_llm.cli.train_plan import plan_training

        plan_training(app, flags, resume=resume, as_json=as_json)
        return
    ended = run_training(app, flags, resume=resume)
    before = against_the_one_before(ended)
    if as_json:
        click.echo(json.dumps(ended.summary))
    else:
        show_ended(ended)
    if before is not None:
        click.echo(before, err=as_json)


def run_training(app: App, flags: Flags, *, resume: str, course: Course | None = None) -> Ended:
    """Train in the project at `app.root`; shared by every verb that trains.

    Args:
        course: of the run that this one is to be the same as.

    Raises:
        Paused, Interrupted: the run stopped early and can go on; says with which command.
    """
    from create_llm.data.pipeline import refuse_unknown_text
    from create_llm.project.folder import find_project
    from create_llm.runs.lock import refuse_if_live
    from create_llm.runs.run import run_folder

    project = find_project(app.root)
    say_on_terminal(STARTING)
    beginning = beginning_with(app, project, flags, resume)
    project, config = beginning.project, beginning.config
    logs = project.root / config.logging.log_dir
    if resume == "auto" and not config.checkpoints.resume_from_checkpoint:
        refuse_if_live(logs)

    # These import torch, which takes seconds: what can be refused without it is refused before.
    with leaving_at_once(f"Interrupted: {_BEFORE}"):
        refuse_unknown_text(project, config)
        from create_llm.training.job import Surroundings
        from create_llm.training.launch import train

    around = Surroundings(
        resume=resume,
        ask=_ask if sys.stdin.isatty() else None,
        progress=partial(progress_bars_until, _BUILDING),
        notice=lambda message: click.echo(f"warning: {message}", err=True),
        command=tuple(sys.argv),
        initial=beginning.initial,
        course=course,
    )
    try:
        ended = train(project, config, app.plugins, around)
    except KeyboardInterrupt as interrupt:
        raise Interrupted(_BEFORE, signal_number=told_as(signal_of(interrupt))) from None
    except StorageError as error:
        raise with_what_could_go(app, error) from error
    _raise_if_cut_short(ended, run_folder(logs, project.checkpoints, ended.run))
    return ended


def _flags(options: dict[str, Any]) -> Flags:
    given = {name: value for name, value in options.items() if value is not None}
    return {
        key: (value, f"--{name.replace('_', '-')}")
        for name, value in given.items()
        for key in _KEYS[name]
    }


def _from_here(app: App, model: str) -> str:
    """A folder given on the command line, seen from where `-C` says the command runs; what is the
    name of a version is none."""
    from create_llm.project.folder import find_project

    folder, version = app.root / model, find_project(app.root).models / model
    is_folder = model.strip() and folder.is_dir() and not version.is_dir()
    return str(folder.resolve()) if is_folder else model


def _ask(question: str) -> bool:
    return click.confirm(question, default=True, err=True)


def _raise_if_cut_short(ended: Ended, run: RunFolder) -> None:
    if ended.stop.status not in ("paused", "interrupted"):
        return
    from create_llm.runs.again import resume_command

    step, saved = ended.summary["steps"], max(run.steps(), default=None)
    fixes: tuple[str, ...] = (f"go on from there: {resume_command(run)}",)
    if saved is None:
        what = f"run {run.name} stopped after step {count(step)} and has no checkpoint"
        fixes = (f"begin again: {resume_command(run)}",)
    elif saved < step:
        newest = f"its newest checkpoint is step {count(saved)}"
        what = f"run {run.name} stopped after step {count(step)}; {newest}"
    else:
        what = f"run {run.name} saved step {count(step)} and stopped"
    if (pause := ended.stop.pause) is not None:
        what, fixes = f"{what}: {pause.reason}", (*pause.suggestions, f"or {fixes[0]}")
    if ended.stop.status == "paused":
        raise Paused(what, fixes=fixes)
    number = told_as(ended.stop.signal_number or signal.SIGINT)
    raise Interrupted(what, signal_number=number, fixes=fixes)
