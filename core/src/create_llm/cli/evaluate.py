"""llm evaluate: loss, perplexity and bits per byte of a model on a text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.models import device_option, open_model, say

if TYPE_CHECKING:
    from create_llm.api import Model


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
    from create_llm.api import score_dict
    from create_llm.training.scoring import score_documents

    opened = open_model(app, model, device)
    if text is None:
        _say_if_prepared_since(app, opened)
    score = score_documents(opened.loaded, texts_to_score(app, text), stride)
    figures = score_dict(score)
    _remember(app, str(opened.bundle.path), str(text) if text else "validation", figures)
    if as_json:
        click.echo(json.dumps(figures))
        return
    click.echo(f"{opened.bundle.path} on {text or 'the validation part of the text'}")
    for name, value in figures.items():
        if value is None:
            continue
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
        click.echo(f"  {name.replace('_', ' '):<18} {shown}")


def _say_if_prepared_since(app: App, model: Model) -> None:
    """Another division of the text may put what the model has learnt into the validation part."""
    from create_llm.data.preparation.prepared import open_prepared
    from create_llm.project.folder import find_project

    prepared = open_prepared(find_project(app.root).processed)
    if prepared.division != model.bundle.info["data"].get("division"):
        say(
            "this model was trained on other data than is prepared now: it may know parts of the "
            "text that it is scored on"
        )


def texts_to_score(app: App, text: Path | None) -> Iterable[str]:
    """The documents to score: a file as one, or the project's validation part."""
    from create_llm.config import load_config
    from create_llm.errors import DataError
    from create_llm.project.folder import find_project
    from create_llm.training.scoring import validation_documents

    if text is None:
        project = find_project(app.root)
        config = load_config(project.root, app.plugins, overrides=app.overrides)
        return validation_documents(project, config)
    try:
        content = (app.root / text).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError(f"there is no file '{text}'", where=str(app.root)) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{text} is not UTF-8 text", where=f"byte {error.start}", fixes=("iconv -t utf-8 …",)
        ) from error
    if not content:
        raise DataError(f"{text} is empty: there is nothing to score")
    return [content]


def _remember(app: App, model: str, text: str, figures: dict[str, object]) -> None:
    """One line in logs/evaluations.jsonl, where the command runs inside a project."""
    from create_llm.project.folder import project_around
    from create_llm.runs.figures import remember

    project = project_around(app.root)
    if project is not None:
        remember(project, "evaluations", {"model": model, "text": text, **figures})
