"""llm tokenizer: train or inspect a tokenizer."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.terminal import alone, steady
from create_llm.data.spelling import spelling
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm.config import Config
    from create_llm.project.folder import Project


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

    Only the training side of the text is read, of a very large one a sample: what is kept for
    validation stays unseen. Shows how well the vocabulary suits both.
    """
    from create_llm.cli.data_sources import open_corpus
    from create_llm.cli.progress import progress_bars
    from create_llm.cli.tokenizer_show import Shown, as_json_object, show
    from create_llm.data.pipeline import conversation_template, train_tokenizer
    from create_llm.data.vocabulary import VocabularyFit

    project, config = open_project(app)
    started = time.perf_counter()
    with progress_bars() as progress:
        tokenizer = train_tokenizer(project, config, needed_tokens(app, config), progress=progress)
    seconds = time.perf_counter() - started
    template = conversation_template(project, config)
    fit = VocabularyFit.of(tokenizer, open_corpus(app, ()).corpus, template=template)
    asked = getattr(config.tokenizer.options, "vocab_size", None)
    shown = Shown(tokenizer, fit, project.tokenizer, seconds, asked)
    if as_json:
        click.echo(json.dumps(as_json_object(shown), ensure_ascii=False))
    else:
        show(shown)
    _warn_of_the_next(app, project, config)


def _warn_of_the_next(app: App, project: Project, config: Config) -> None:
    """Say so where --set or the environment decided what llm.toml alone says otherwise."""
    from create_llm.config import load_config
    from create_llm.config.values import Layer
    from create_llm.data.pipeline import changes_of_tokenizer

    passing = (Layer.ENVIRONMENT, Layer.PRESET, Layer.SET)
    if not any(setting.source.layer in passing for setting in config.settings.values()):
        return
    try:
        lasting = load_config(project.root, app.plugins, environ={})
    except ConfigError:
        changes = ["it says too little"]
    else:
        changes = changes_of_tokenizer(project, lasting, needed_tokens(app, lasting))
    if changes:
        click.echo(
            "note: llm.toml by itself asks for another tokenizer: "
            f"{steady('; '.join(changes))}\n"
            "  try: write there what --set or the environment says, or the next llm train makes "
            "that one",
            err=True,
        )


@command.command("inspect", epilog='\b\nExample:\n  llm tokenizer inspect "Once upon a time"')
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def inspect(app: App, text: str, as_json: bool) -> None:
    """Show the tokens of TEXT."""
    from create_llm.data.split import utf8_size
    from create_llm.data.tokenizer_files import load_tokenizer

    project, config = open_project(app)
    tokenizer = load_tokenizer(config.tokenizer.part, project.tokenizer)
    ids = tokenizer.encode_batch([text])[0]
    pieces = [spelling(tokenizer, token_id) for token_id in ids]
    if as_json:
        tokens = [{"id": i, "text": piece} for i, piece in zip(ids, pieces, strict=True)]
        click.echo(json.dumps({"tokens": tokens, "bytes": utf8_size(text)}, ensure_ascii=False))
        return
    for token_id, piece in zip(ids, pieces, strict=True):
        click.echo(f"{token_id:>8}  {alone(piece)}")
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
