"""llm synth: synthetic text into data/raw."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.units import counted, seen_from_here
from create_llm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from create_llm.data.source import Synthesizer
    from create_llm.data.synthesis.asking import Usage
    from create_llm.data.synthesis.job import Order, Statistics
    from create_llm.data.synthesis.journal import Job
    from create_llm.project.folder import Project


@click.command(
    epilog="\b\nExamples:\n"
    '  llm synth --provider sample --samples 100 --topic "the sea"\n'
    "  llm synth --provider rules --samples 500 --from book.txt\n"
    "  llm synth --provider groq --samples 200 --from notes/*.txt --dry-run"
)
@click.argument("more", nargs=-1, metavar="[FILES]...")
@click.option("--provider", help="The synthesizer to use; llm plugins list shows them.")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Documents to write.",
)
@click.option("--topic", help="What the text should be about.")
@click.option(
    "--from", "files", multiple=True, metavar="FILES", help="Text of your own to ask about."
)
@click.option("--dry-run", is_flag=True, help="Only estimate requests, tokens and cost.")
@click.option("--json", "as_json", is_flag=True, help="Print the statistics as JSON on stdout.")
@click.pass_obj
def command(
    app: App,
    more: tuple[str, ...],
    provider: str | None,
    samples: int,
    topic: str | None,
    files: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write synthetic documents into data/raw, as JSON lines.

    Broken off, the same command goes on where it was.
    """
    from create_llm.data.synthesis.job import planned
    from create_llm.project.folder import find_project

    project = find_project(app.root)
    name = _provider(app, provider)
    order = _order(app, name, samples, topic, _paths(files, more))
    synthesizer = _synthesizer(app, name, None)
    _need_reader(synthesizer, order)
    folder = project.root / "data" / "synth"
    job, begun = planned(order, _at_once(synthesizer), folder, project.raw)
    _tell_estimate(synthesizer, order, job, as_json=as_json and dry_run)
    if dry_run:
        return
    with contextlib.chdir(app.root):  # where a synthesizer looks for .env
        found = _write(_synthesizer(app, name, job), order, job, project, begun=begun)
    _show(found, samples, as_json=as_json)


def _provider(app: App, provider: str | None) -> str:
    names = app.plugins.registry.names("synthesizers")
    if provider is None and len(names) != 1:
        raise ConfigError(
            "which synthesizer?",
            where="--provider",
            fixes=(f"choose one of: {', '.join(names) or 'none is installed'}",),
        )
    return provider or names[0]


def _paths(files: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """The shell makes several words of `--from *.txt`; the option takes the first."""
    if more and not files:
        raise ConfigError(
            f"what is '{more[0]}' for?",
            where="llm synth",
            fixes=(f"text to ask about: --from {more[0]}", "see: llm synth --help"),
        )
    return (*files, *more)


def _order(
    app: App, provider: str, samples: int, topic: str | None, paths: tuple[str, ...]
) -> Order:
    from create_llm.data.synthesis.job import Order

    if not paths:
        return Order(provider, samples, topic)
    import hashlib

    from create_llm.cli.data_sources import open_corpus
    from create_llm.data.source import documents_of, identity_of
    from create_llm.data.synthesis.passages import Passage, passages

    with _said_of_from(paths):
        sources = open_corpus(app, paths).corpus.sources
        identity = hashlib.sha256("\n".join(map(identity_of, sources)).encode()).hexdigest()

    def read() -> Iterator[Passage]:
        with _said_of_from(paths):
            for source in sources:
                yield from passages(documents_of(source))

    return Order(provider, samples, topic, read, identity)


@contextlib.contextmanager
def _said_of_from(paths: tuple[str, ...]) -> Iterator[None]:
    """What a source advises is about the project's text; this is about text to ask about."""
    try:
        yield
    except DataError as error:
        error.fixes = (
            "check --from: it takes files and folders of text",
            f"see what is in them: llm data check {shlex.join(paths)}",
        )
        raise


def _synthesizer(app: App, name: str, job: Job | None) -> Synthesizer:
    """The part with its options; one that has a `seed` gets another for each job."""
    from create_llm.cli.parts import configured_part

    part, options = configured_part(app, "synthesizers", name, where="--provider")
    made: Synthesizer = part.load()(_seeded(options, job))
    return made


def _seeded(options: BaseModel | None, job: Job | None) -> BaseModel | None:
    seed = getattr(options, "seed", None)
    if options is None or job is None or not isinstance(seed, int):
        return options
    return options.model_copy(update={"seed": seed + job.number - 1})


def _need_reader(synthesizer: Synthesizer, order: Order) -> None:
    from create_llm.data.synthesis.asking import AskingSynthesizer

    if order.passages is not None and not isinstance(synthesizer, AskingSynthesizer):
        raise ConfigError(
            f"{order.provider} makes its text by itself and takes no text of yours",
            where="--from",
            fixes=("leave --from out", "or choose another provider: llm plugins list"),
        )


def _at_once(synthesizer: Synthesizer) -> int:
    from create_llm.data.synthesis.asking import AskingSynthesizer

    return synthesizer.at_once if isinstance(synthesizer, AskingSynthesizer) else 1


def _tell_estimate(synthesizer: Synthesizer, order: Order, job: Job, *, as_json: bool) -> None:
    from create_llm.data.synthesis.asking import AskingSynthesizer, Usage
    from create_llm.data.synthesis.job import estimate

    requests, usage = 0, Usage()
    if isinstance(synthesizer, AskingSynthesizer):
        requests, usage = estimate(synthesizer, order, job)
    if as_json:
        click.echo(json.dumps({"requests": requests, **asdict(usage)}))
    elif usage.input_tokens:
        click.echo(f"An estimate: {counted(requests, 'request')}, {_in_words(usage)}", err=True)


def _write(
    synthesizer: Synthesizer, order: Order, job: Job, project: Project, *, begun: bool
) -> Statistics:
    from create_llm.data.synthesis.asking import AskingSynthesizer
    from create_llm.data.synthesis.job import Writing
    from create_llm.data.synthesis.journal import Journal

    asked = synthesizer.check() if isinstance(synthesizer, AskingSynthesizer) else None
    if asked:
        click.echo(f"Asking {asked}", err=True)
    if begun:
        click.echo(f"Going on with data/raw/synthetic-{job.name}.jsonl", err=True)
    with (
        Journal(project.root / "data" / "synth", project.raw, job) as journal,
        _bar(order.samples) as progress,
    ):
        return Writing(order, synthesizer, journal).run(progress)


@contextlib.contextmanager
def _bar(samples: int) -> Iterator[Callable[[int], None]]:
    """A bar of documents on a terminal, nothing elsewhere."""
    import sys

    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("documents"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("documents", total=samples)
        yield lambda done: bars.update(task, completed=done)


def _show(found: Statistics, samples: int, *, as_json: bool) -> None:
    if not found.path:
        raise _nothing(found)
    if as_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False))
    else:
        click.echo(
            f"{counted(found.documents, 'document')}, {counted(found.words, 'word')}, "
            f"{counted(found.bytes, 'byte')} "
            f"in {seen_from_here(Path(found.path))}"
        )
    if found.documents < samples:
        click.echo(f"Fewer than the {samples:,} asked for: nothing new came any more.", err=True)
    _tell_left_out(found)
    if found.usage.input_tokens:
        click.echo(f"{counted(found.requests, 'request')}, {_in_words(found.usage)}", err=True)
    click.echo("Next: llm data check, then llm train", err=True)


def _nothing(found: Statistics) -> DataError:
    problems = sorted(found.rejected.items(), key=lambda item: -item[1])
    why = [f"{counted(number, 'time')}: {problem}" for problem, number in problems[:3]]
    repeated = ["what came repeats what data/raw has already"] if found.repeated else []
    what = f"none of {counted(found.requests, 'answer')} brought anything to learn from"
    if len(problems) == 1 and problems[0][1] == found.requests:
        what, why = problems[0][0], []
    return DataError(
        what,
        where="; ".join(why + repeated) or None,
        fixes=("ask about another topic, or more text: --topic …, --from …", "llm synth --help"),
    )


def _tell_left_out(found: Statistics) -> None:
    if found.repeated:
        click.echo(f"Left out, because they repeat others: {found.repeated:,}", err=True)
    for problem, number in sorted(found.rejected.items(), key=lambda item: -item[1]):
        click.echo(f"Rejected: {number:,}: {problem}", err=True)


def _in_words(usage: Usage) -> str:
    tokens = f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"
    return tokens if usage.cost is None else f"{tokens}, {usage.cost:.4f} US dollars"
