"""llm evaluate: loss, perplexity and bits per byte of a model on a text."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.models import bundle_called, device_option, load_model, say
from create_llm.cli.terminal import written
from create_llm.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    from create_llm.models.bundle import ModelBundle
    from create_llm.models.objective import Objective

_SNIFFED = 4096
"""Bytes at the beginning of a file that tell whether it is text."""


@click.command(epilog="\b\nExamples:\n  llm evaluate\n  llm evaluate v1 --text book.txt --json")
@click.argument("model", required=False)
@click.option("--text", type=click.Path(path_type=Path), help="Score this file.")
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    help="Tokens from one window to the next. Unset: a whole window; fewer give each token more "
    "of the text before it, and take longer.",
)
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON on stdout.")
@click.pass_obj
def command(
    app: App,
    model: str | None,
    text: Path | None,
    stride: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Score MODEL on the project's validation text, or on a file.

    Bits per byte is the figure to compare models by: it does not depend on the tokenizer.
    """
    bundle = bundle_called(app, model)
    if stride is not None:
        _check_early(app, bundle, stride)
    if text is None:
        _say_if_prepared_since(app, bundle)
    texts = texts_to_score(app, text)
    from create_llm.api import score_dict
    from create_llm.training.scoring import score_documents

    opened = load_model(app, bundle, device)
    _check_stride(stride, opened.loaded.objective, opened.loaded.context)
    score = score_documents(opened.loaded, texts, stride)
    if score.passes_text_over:
        say(
            f"the tokenizer makes {score.tokens:,} tokens of {score.bytes:,} bytes: it passes most "
            "of the text over, and these figures say nothing of the model"
        )
    figures = score_dict(score)
    _remember(app, str(opened.bundle.path), str(text) if text else "validation", figures)
    if as_json:
        click.echo(json.dumps(figures))
        return
    on = text or "the validation part of the text"
    click.echo(written(f"{opened.bundle.path} on {on}"))
    for name, value in figures.items():
        if value is None:
            continue
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
        click.echo(f"  {name.replace('_', ' '):<18} {shown}")


def _check_early(app: App, bundle: ModelBundle, stride: int) -> None:
    """Before the model is loaded, where the bundle tells its context.

    Raises:
        ConfigError: as by `_check_stride`.
    """
    from create_llm.models.chosen import objective_of_bundle

    context = bundle.info["recipe"].get("model", {}).get("max_length")
    if context is None:
        return
    registry, info = app.plugins.registry, bundle.info
    architecture = bundle.part("architectures", info["architecture"], registry).load()()
    tokenizer = bundle.part("tokenizers", info["tokenizer"], registry).load().load(bundle.path)
    objective = objective_of_bundle(bundle, architecture, registry).build(tokenizer)
    _check_stride(stride, objective, context)


def _check_stride(stride: int | None, objective: Objective, context: int) -> None:
    """
    Raises:
        ConfigError: windows that far apart would leave tokens out.
    """
    most = objective.window(context) - objective.shared
    if stride is not None and stride > most:
        raise ConfigError(
            f"the stride must be from 1 to {most} for this model, got {stride}: more would leave "
            "tokens out",
            where="--stride",
            fixes=(f"--stride {max(most // 2, 1)}", "leave it out for a whole window"),
        )


def _say_if_prepared_since(app: App, bundle: ModelBundle) -> None:
    """Another division of the text may put what the model has learnt into the validation part."""
    from create_llm.data.preparation.prepared import open_prepared
    from create_llm.project.folder import find_project

    prepared = open_prepared(find_project(app.root).processed)
    if prepared.division != bundle.info["data"].get("division"):
        say(
            "this model was trained on other data than is prepared now: it may know parts of the "
            "text that it is scored on"
        )


def texts_to_score(app: App, text: Path | None) -> Iterable[str]:
    """The documents to score: a file as one, or the project's validation part."""
    if text is not None:
        return [_content(app, text)]
    from create_llm.config import load_config
    from create_llm.project.folder import find_project
    from create_llm.training.scoring import validation_documents

    project = find_project(app.root)
    config = load_config(project.root, app.plugins, overrides=app.overrides)
    return validation_documents(project, config)


def _content(app: App, text: Path) -> str:
    """
    Raises:
        DataError: there is no such file, or it is no text, or an empty one.
    """
    path = app.root / text
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        fixes = (
            *did_you_mean(path.name, _names_in(path.parent)),
            "leave --text out to score the project's validation text",
        )
        raise DataError(f"there is no file '{text}'", where=str(path), fixes=fixes) from error
    except IsADirectoryError as error:
        fixes = ("name one file of it",)
        raise DataError(f"'{text}' is a folder", where=str(path), fixes=fixes) from error
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _no_text(text, data, error.start) from error
    if not content:
        raise DataError(f"{text} is empty: there is nothing to score", where=str(path))
    return content


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _no_text(text: Path, data: bytes, byte: int) -> DataError:
    where = f"{text}, byte {byte}"
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in data[:_SNIFFED] and not wide:  # a program or a picture
        fixes = ("name a file of plain text",)
        return DataError(f"{text} is not text", where=where, fixes=fixes)
    encoding = "utf-16" if wide else "latin1"
    fix = f"say which encoding it has: iconv -f {encoding} -t utf-8 {text} > utf8.txt"
    return DataError(f"{text} is not UTF-8 text", where=where, fixes=(fix,))


def _remember(app: App, model: str, text: str, figures: dict[str, object]) -> None:
    """One line in logs/evaluations.jsonl, where the command runs inside a project."""
    from create_llm.project.folder import project_around
    from create_llm.runs.figures import remember

    project = project_around(app.root)
    if project is not None:
        remember(project, "evaluations", {"model": model, "text": text, **figures})
