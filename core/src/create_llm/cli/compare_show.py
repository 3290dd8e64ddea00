"""What `llm compare` found, in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from create_llm.cli.models import say
from create_llm.cli.tables import show_table
from create_llm.cli.units import size

_STAR = " *"


def show(found: Mapping[str, Any]) -> None:
    """All of it but the curves."""
    models, text = found["models"], found["text"]
    extent = f"{text['documents']:,} documents, {text['bytes']:,} bytes"
    click.echo(f"Scored on {text['name']}: {extent}")
    _show_figures(models, found["best"])
    if not found["comparable_by_token"]:
        click.echo("Loss and perplexity are per token, and these models have different tokens.")
    _show_differences(models, found["differences"])
    _show_samples(models, found["prompts"])
    for note in found["notes"]:
        say(note)
    if found["report"]:
        click.echo(f"\nReport: {found['report']}", err=True)


def _show_figures(models: Sequence[Mapping[str, Any]], best: Mapping[str, Sequence[str]]) -> None:
    from create_llm.models.comparison import METRICS, STAR_RULE

    rows = [
        [
            model["name"],
            *(
                _cell(m, model[m]) + (_STAR if model["name"] in best.get(m, ()) else "")
                for m in METRICS
            ),
        ]
        for model in models
    ]
    starred = {cell: "green" for row in rows for cell in row[1:] if cell.endswith(_STAR)}
    titles = ("size" if m == "bytes" else m.replace("_", " ") for m in METRICS)
    show_table(["model", *titles], rows, starred)
    if best:
        click.echo(f"*{STAR_RULE}")


def _cell(metric: str, value: Any) -> str:
    from create_llm.runs.page import figure

    return size(value) if metric == "bytes" else figure(value)


def _show_differences(
    models: Sequence[Mapping[str, Any]], differences: Mapping[str, Sequence[object]]
) -> None:
    from create_llm.runs.page import figure

    if not differences:
        click.echo("\nThey have the same settings.")
        return
    click.echo("\nSettings that differ")
    rows = [[key, *map(figure, values)] for key, values in differences.items()]
    show_table(["key", *(model["name"] for model in models)], rows, {})


def _show_samples(models: Sequence[Mapping[str, Any]], prompts: Sequence[str]) -> None:
    for prompt in prompts:
        click.echo(f"\nPrompt: {prompt}")
        for model in models:
            text, asked = model["samples"].get(prompt), "" if model["conversation"] else prompt
            click.echo(f"── {model['name']}\n{'-' if text is None else asked + text}")
