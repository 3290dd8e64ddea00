"""llm runs pause: halt a live run so that it can go on later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import live_runs, run_called, runs_of_project
from create_llm.cli.runs_show import show_run
from create_llm.errors import ConfigError, LockedError

if TYPE_CHECKING:
    from create_llm.runs.run import RunFolder

_LOOK_SECONDS = 0.1
_PAUSED = "paused"


@click.command("pause", epilog="\b\nExamples:\n  llm runs pause\n  llm runs pause 20260101-120000")
@click.argument("run", required=False)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds to wait until it has halted.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what `runs show --json` prints.")
@click.pass_obj
def pause(app: App, run: str | None, timeout: float, as_json: bool) -> None:
    """Halt a live run: it saves a checkpoint and ends; `llm train` goes on from there.

    Without a name, the one run that is live. A step that is not finished is taken again later.
    """
    from create_llm.runs.control import Control, Request

    runs = runs_of_project(app)
    chosen = _only_live(runs) if run is None else run_called(run, runs)
    _refuse_unless_live(chosen)
    Control(chosen.path).send(Request.PAUSE)
    _wait(chosen, timeout)
    show_run(chosen, runs, as_json=as_json)


def _only_live(runs: list[RunFolder]) -> RunFolder:
    live = live_runs(runs)
    if len(live) == 1:
        return live[0]
    if not live:
        raise ConfigError("no run is live", fixes=("see them: llm runs list",))
    raise ConfigError(
        f"{len(live)} runs are live: {', '.join(run.name for run in live)}",
        fixes=tuple(f"llm runs pause {run.name}" for run in live),
    )


def _refuse_unless_live(run: RunFolder) -> None:
    from create_llm.runs.again import resume_command
    from create_llm.runs.report import LIVE

    status = run.status()
    if status == _PAUSED:
        go_on = (f"go on with it: {resume_command(run)}", f"llm runs show {run.name}")
        raise ConfigError(f"run {run.name} is not live: it is paused already", fixes=go_on)
    if status != LIVE:
        raise ConfigError(
            f"run {run.name} is not live: it is {status}",
            fixes=(f"llm runs show {run.name}", "see the others: llm runs list"),
        )


def _wait(run: RunFolder, timeout: float) -> None:
    """Until nobody works on the run any more.

    Raises:
        LockedError: it goes on after `timeout` seconds.
        ConfigError: it ended in another way before the request reached it.
    """
    from create_llm.runs.lock import is_held

    deadline = time.monotonic() + timeout
    while is_held(run.path):
        if time.monotonic() > deadline:
            raise LockedError(
                f"run {run.name} has not paused within {timeout:g} seconds; it has been asked to, "
                "and will as soon as it hears",
                fixes=(f"see how it is: llm runs show {run.name}", "wait longer: --timeout 120"),
            )
        time.sleep(_LOOK_SECONDS)
    status = run.status()
    if status != _PAUSED:
        raise ConfigError(
            f"run {run.name} did not pause: it was {status} before it could",
            fixes=(f"llm runs show {run.name}",),
        )
