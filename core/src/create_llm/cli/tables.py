"""Tables for the terminal: in colour there, aligned plain text in a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import click

from create_llm.cli.terminal import steady


def show_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], colours: Mapping[str, str]
) -> None:
    """Print rows of text; cells that are keys of `colours` get that style on a terminal.

    Control characters are spelt out: cells hold names of files and what stands in them.
    """
    headers, rows = _steady(headers), [_steady(row) for row in rows]
    if not sys.stdout.isatty():
        widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
        for row in (headers, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            click.echo("  ".join(cells).rstrip())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell, style=colours.get(cell, "")) for cell in row))
    Console().print(table)


def _steady(cells: Sequence[str]) -> list[str]:
    return [steady(cell) for cell in cells]
