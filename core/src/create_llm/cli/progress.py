"""Progress of what happens before training, on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from create_llm.cli.terminal import steady

if TYPE_CHECKING:
    from create_llm.data.preparation.prepare import Progress

STARTING = "Reading llm.toml and loading torch …"
"""For verbs that show nothing for seconds otherwise."""


@contextlib.contextmanager
def progress_bars() -> Iterator[Progress]:
    """A bar for each stage on a terminal; elsewhere one line when a stage begins."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        stages: dict[str, TaskID] = {}

        def update(stage: str, done: int, total: int | None) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(steady(stage), total=total)
            bars.update(stages[stage], completed=done, total=total)

        yield update


@contextlib.contextmanager
def progress_bars_until(then: str) -> Iterator[Progress]:
    """`progress_bars`, and at their end, on a terminal, a line on what begins then."""
    with progress_bars() as progress:
        yield progress
    say_on_terminal(then)


def say_on_terminal(words: str) -> None:
    """A line for whoever sits there and waits; nothing in a file or a pipe."""
    if sys.stderr.isatty():
        click.echo(steady(words), err=True)


def _lines() -> Progress:
    seen: set[str] = set()

    def update(stage: str, done: int, total: int | None) -> None:
        if stage not in seen:
            seen.add(stage)
            click.echo(f"{steady(stage)} …", err=True)

    return update
