"""llm runs diff: how two runs or versions differ, without computing anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import history_of_project
from create_llm.cli.tables import show_table
from create_llm.cli.units import size

if TYPE_CHECKING:
    from create_llm.runs.history import Entry

_FIGURES = (
    "status", "steps", "tokens", "parameters", "train_loss", "val_loss", "val_perplexity",
    "val_bits_per_byte", "tokens_per_second", "wall_seconds", "bytes",
)  # fmt: skip


@click.command(
    "diff", epilog="\b\nExamples:\n  llm runs diff v1 v2\n  llm runs diff v2 20260101-120000"
)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON on stdout.")
@click.pass_obj
def diff(app: App, first: str, second: str, as_json: bool) -> None:
    """What two runs or versions measured, and the settings that are not the same.

    The figures are those of their own runs; `llm compare` scores both on the same text.
    """
    from create_llm.runs.history import entry_called

    entries = history_of_project(app)
    found = _differences([entry_called(name, entries) for name in (first, second)])
    if as_json:
        click.echo(json.dumps({"a": first, "b": second, **found}, ensure_ascii=False))
        return
    for title, key in (("figure", "figures"), ("comes from", "lineage"), ("setting", "settings")):
        _show(title, (first, second), found[key])
    if not found["settings"]:
        click.echo("They have the same settings.")


def _differences(entries: list[Entry]) -> dict[str, Any]:
    from create_llm.runs.settings import differences

    figures = [{**_summary(entry), **entry.metrics, **entry.row()} for entry in entries]
    lineages = [dict(entry.lineage) for entry in entries]
    return {
        "figures": {name: [table.get(name) for table in figures] for name in _FIGURES},
        "lineage": {key: [table[key] for table in lineages] for key in lineages[0]},
        "settings": {
            key: list(values)
            for key, values in differences([entry.config for entry in entries]).items()
        },
    }


def _summary(entry: Entry) -> dict[str, Any]:
    return entry.run.summary() if entry.run else {}


def _show(title: str, names: tuple[str, str], table: Mapping[str, list[object]]) -> None:
    from create_llm.runs.page import figure

    rows = [
        [
            _title(key),
            *(_bytes(value) if key == "bytes" else _short(figure(value)) for value in values),
        ]
        for key, values in table.items()
        if any(value is not None for value in values)
    ]
    if rows:
        show_table([title, *names], rows, {})
        click.echo()


def _title(key: str) -> str:
    """Keys of llm.toml as they are written there; figures as words."""
    if key == "bytes":
        return "size"
    return key if "." in key else key.replace("_", " ")


def _bytes(value: object) -> str:
    return size(value) if isinstance(value, int) else "-"


def _short(text: str) -> str:
    """A hash by its beginning, as far as it takes to tell two apart."""
    return f"{text[:12]}…" if len(text) == 64 else text
