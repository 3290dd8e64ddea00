"""llm tokenizer: train or inspect a tokenizer."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App

if TYPE_CHECKING:
    from collections.abc import Iterator

    from create_llm.config import Config
    from create_llm.data.tokenizer import Tokenizer
    from create_llm.project.folder import Project

_LONGEST = 10
# How much of the text the statistics are taken on.
_MEASURED_BYTES = 2_000_000


@dataclass(frozen=True)
class Statistics:
    """What `llm tokenizer train` says; bytes_per_token is measured on the training text."""

    folder: str
    vocab_size: int
    bytes_per_token: float
    longest: list[str]
    seconds: float


@click.group("tokenizer")
def command() -> None:
    """Train or inspect a tokenizer.

    \b
    Example: llm tokenizer inspect "Once upon a time"
    """


@command.command(
    "train", epilog="\b\nExample:\n  llm tokenizer train --set tokenizer.vocab_size=4096"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def train(app: App, as_json: bool) -> None:
    """Learn a vocabulary from the project's text and save it in tokenizer/.

    Only the training side of the text is read: what is kept for validation stays unseen.
    """
    from create_llm.cli.progress import progress_bars
    from create_llm.data.pipeline import train_tokenizer

    project, config = open_project(app)
    started = time.perf_counter()
    with progress_bars() as progress:
        tokenizer = train_tokenizer(project, config, needed_tokens(app, config), progress=progress)
    seconds = time.perf_counter() - started
    statistics = Statistics(
        folder=str(project.tokenizer),
        vocab_size=tokenizer.vocab_size,
        bytes_per_token=_bytes_per_token(tokenizer, _measured_texts(project, config)),
        longest=_longest(tokenizer),
        seconds=round(seconds, 3),
    )
    if as_json:
        click.echo(json.dumps(asdict(statistics), ensure_ascii=False))
    else:
        _show(statistics)


@command.command("inspect", epilog='\b\nExample:\n  llm tokenizer inspect "Once upon a time"')
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def inspect(app: App, text: str, as_json: bool) -> None:
    """Show the tokens of TEXT."""
    from create_llm.data.pipeline import load_tokenizer
    from create_llm.data.split import utf8_size

    project, config = open_project(app)
    tokenizer = load_tokenizer(config.tokenizer.part, project.tokenizer)
    ids = tokenizer.encode_batch([text])[0]
    pieces = [spelling(tokenizer, token_id) for token_id in ids]
    if as_json:
        tokens = [{"id": i, "text": piece} for i, piece in zip(ids, pieces, strict=True)]
        click.echo(json.dumps({"tokens": tokens, "bytes": utf8_size(text)}, ensure_ascii=False))
        return
    for token_id, piece in zip(ids, pieces, strict=True):
        click.echo(f"{token_id:>8}  {one_line(piece)}")
    click.echo(f"{len(ids)} tokens for {utf8_size(text)} bytes", err=True)


def open_project(app: App) -> tuple[Project, Config]:
    """The project around the working folder, and its configuration."""
    from create_llm.config import load_config
    from create_llm.project.folder import find_project

    project = find_project(app.root)
    return project, load_config(project.root, app.plugins, overrides=app.overrides)


def needed_tokens(app: App, config: Config) -> tuple[str, ...]:
    """The control tokens that the objective of a run would need."""
    from create_llm.models.chosen import objective_of_run

    return objective_of_run(config, app.plugins.registry).control_tokens


def spelling(tokenizer: Tokenizer, token_id: int) -> str:
    """A token as readable text; one that is no whole character comes as its file spells it."""
    text = tokenizer.decode([token_id])
    return text if text and "\ufffd" not in text else tokenizer.token(token_id)


def visible(text: str) -> str:
    """Text that cannot steer a terminal: control characters but the line break are spelt out."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    return visible(text).replace("\n", "⏎")


def _measured_texts(project: Project, config: Config) -> Iterator[str]:
    from create_llm.data.pipeline import data_source, validation_source
    from create_llm.data.prepare import training_texts

    source = data_source(project, config)
    texts = training_texts(
        source, val_split=config.data.val_split, val_source=validation_source(source)
    )
    size = 0
    for text in texts:
        yield text
        size += len(text)
        if size >= _MEASURED_BYTES:
            return


def _bytes_per_token(tokenizer: Tokenizer, texts: Iterator[str]) -> float:
    from create_llm.data.split import utf8_size

    size = tokens = 0
    for text in texts:
        size += utf8_size(text)
        tokens += len(tokenizer.encode_batch([text])[0])
    return round(size / max(tokens, 1), 3)


def _longest(tokenizer: Tokenizer) -> list[str]:
    control = set(tokenizer.special.named.values())
    ordinary = (i for i in range(tokenizer.vocab_size) if i not in control)
    spelt = [spelling(tokenizer, token_id) for token_id in ordinary]
    return sorted(spelt, key=lambda text: (-len(text), text))[:_LONGEST]


def _show(statistics: Statistics) -> None:
    click.echo(f"vocabulary       {statistics.vocab_size:,} tokens")
    click.echo(f"bytes per token  {statistics.bytes_per_token} on the training text")
    click.echo("longest tokens   " + " | ".join(map(one_line, statistics.longest)))
    click.echo(f"took {statistics.seconds:.1f} s, saved in {statistics.folder}")
