"""llm runs: what has been trained here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import history_of_project, say_if_disk_is_low
from create_llm.cli.runs_diff import diff
from create_llm.cli.runs_filter import matching
from create_llm.cli.runs_pause import pause
from create_llm.cli.runs_plot import plot
from create_llm.cli.runs_remove import archive, remove
from create_llm.cli.runs_reproduce import reproduce
from create_llm.cli.runs_show import show
from create_llm.cli.runs_use import use
from create_llm.cli.tables import show_table
from create_llm.cli.units import size

if TYPE_CHECKING:
    from create_llm.runs.history import Entry

_COLUMNS = (
    "started", "run", "version", "status", "steps", "parameters", "val_loss",
    "val_bits_per_byte", "tokens_per_second", "bytes",
)  # fmt: skip
_STATUSES = (
    "running", "completed", "paused", "interrupted", "killed", "failed", "diverged",
)  # fmt: skip
_HEADERS = ("RUN", "STATUS", "STEPS", "BITS/BYTE", "VAL LOSS", "PARAMETERS", "SIZE", "MODEL")
_LEAST_BYTES = 50_000
"""Fewer would read as 0.0 MB."""


@click.group(
    epilog="\b\nExamples:\n  llm runs list\n  llm runs diff v1 v2\n  llm runs pause 20260101-120000"
)
def command() -> None:
    """The runs of this project, the versions of the model they made, requests to live ones."""


@command.command(
    "list",
    epilog="\b\nExamples:\n  llm runs list --sort val_bits_per_byte\n"
    "  llm runs list --status completed --where model.layers=4 --where 'val_loss<3'",
)
@click.option(
    "--sort",
    type=click.Choice(_COLUMNS),
    default="started",
    show_default=True,
    help="Smallest first; what has no value comes last.",
)
@click.option("--reverse", is_flag=True, help="Largest first.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only those.")
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only those: a column, or any key of llm.toml; also <, <=, > and >=. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON on stdout.")
@click.pass_obj
def list_runs(
    app: App,
    sort: str,
    reverse: bool,
    status: str | None,
    conditions: tuple[str, ...],
    as_json: bool,
) -> None:
    """All runs and versions: which are live, how the others ended, what they scored."""
    entries = history_of_project(app)
    wanted = [*conditions, *([f"status={status}"] if status else [])]
    rows = _sorted(matching(wanted, entries), sort, reverse=reverse)
    if as_json:
        click.echo(json.dumps({"runs": rows}))
    elif not entries:
        click.echo("No runs yet. Start one: llm train")
    else:
        show_table(_HEADERS, [_cells(row) for row in rows], {})
        _say_what_was_scored(entries)
    say_if_disk_is_low(app, entries)


def _say_what_was_scored(entries: Sequence[Entry]) -> None:
    from create_llm.data.chat.template import FILE

    if any(entry.bundle and (entry.bundle.path / FILE).is_file() for entry in entries):
        click.echo(
            "note: a model of conversations is scored on the answers alone; llm compare and llm "
            "evaluate score all the text",
            err=True,
        )


def _sorted(
    rows: Sequence[dict[str, Any]], column: str, *, reverse: bool
) -> Sequence[dict[str, Any]]:
    """By age the order is that of the history, which knows runs that never told when they began."""
    if column == "started":
        return rows[::-1] if reverse else rows
    known = [row for row in rows if row[column] is not None]
    known.sort(key=lambda row: _rank(row[column]), reverse=reverse)
    return [*known, *(row for row in rows if row[column] is None)]


def _rank(value: Any) -> Any:
    """v10 comes after v9."""
    return int(value[1:]) if isinstance(value, str) and value[:1] == "v" else value


def _cells(row: Mapping[str, Any]) -> list[str]:
    bits, loss = row["val_bits_per_byte"], row["val_loss"]
    return [
        row["run"] or "-",
        row["status"] or "-",
        str(row["steps"] or ""),
        f"{bits:.3f}" if bits is not None else "",
        f"{loss:.4f}" if loss is not None else "",
        f"{row['parameters']:,}" if row["parameters"] else "",
        size(row["bytes"]) if row["bytes"] >= _LEAST_BYTES else "< 0.1 MB",
        _model(row),
    ]


def _model(row: Mapping[str, Any]) -> str:
    """The version and what there is to say of it; of a live run its process."""
    if row["process"]:
        return f"({row['process']})"
    said = [word for word in ("active", "best") if row[word]]
    said += [row["state"]] if row["state"] not in (None, "present") else []
    note = f" ({', '.join(said)})" if said else ""
    return f"{row['version'] or ''}{note}"


for each in (show, diff, use, archive, remove, plot, reproduce, pause):
    command.add_command(each)
