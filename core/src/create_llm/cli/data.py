"""llm data: look at the data and turn it into token shards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.data_check import check
from create_llm.cli.data_preview import preview
from create_llm.cli.data_report import counted
from create_llm.cli.data_sources import open_with_path
from create_llm.cli.terminal import steady, written
from create_llm.cli.tokenizer import needed_tokens, open_project

if TYPE_CHECKING:
    from create_llm.data.preparation.prepared import PreparedData
    from create_llm.data.shards import TokenShards
    from create_llm.data.tokenizer import Tokenizer


@click.group("data")
def command() -> None:
    """Look at the data and turn it into token shards.

    \b
    Example: llm data check
    """


command.add_command(check)
command.add_command(preview)


@command.command("prepare", epilog="\b\nExamples:\n  llm data prepare\n  llm data prepare books/")
@click.argument("path", required=False, metavar="[PATH]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def prepare(app: App, path: str | None, as_json: bool) -> None:
    """Turn the project's text into token shards in data/processed.

    Trains the tokenizer first if there is none. Does nothing when neither the text nor the
    settings have changed. PATH is read instead of the project's data, as by
    `llm train --corpus-path PATH`.
    """
    from create_llm.cli.progress import progress_bars
    from create_llm.data.pipeline import data_source, ensure_data, ensure_tokenizer
    from create_llm.data.source import skipped_files

    project, config = open_project(app) if path is None else open_with_path(app, path)
    with progress_bars() as progress:
        tokenizer = ensure_tokenizer(project, config, needed_tokens(app, config), progress=progress)
        data = ensure_data(project, config, tokenizer, progress=progress)
    skipped = skipped_files(data_source(project, config))
    if as_json:
        click.echo(json.dumps(_prepared_json(data, tokenizer, skipped), ensure_ascii=False))
    else:
        _show_prepared(data, tokenizer, skipped)


def _side(shards: TokenShards) -> dict[str, int]:
    return {"documents": shards.documents, "tokens": shards.tokens, "bytes": shards.bytes}


def _prepared_json(
    data: PreparedData, tokenizer: Tokenizer, skipped: list[str]
) -> dict[str, object]:
    return {
        "folder": str(data.folder),
        "key": data.key,
        "cached": data.cached,
        "train": _side(data.train),
        "val": _side(data.val),
        "tokens": data.train.tokens + data.val.tokens,
        "vocab_size": tokenizer.vocab_size,
        "disk_bytes": data.train.disk_bytes + data.val.disk_bytes,
        "rejected": data.rejected,
        "duplicates": data.duplicates,
        "skipped": skipped,
    }


def _show_prepared(data: PreparedData, tokenizer: Tokenizer, skipped: list[str]) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    from create_llm.data.check.advice import LITTLE_BYTES

    table = Table("", "documents", "text", "tokens")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, side in (("train", data.train), ("validation", data.val)):
        table.add_row(name, f"{side.documents:,}", decimal(side.bytes), f"{side.tokens:,}")
    Console().print(table)
    size = decimal(data.train.disk_bytes + data.val.disk_bytes)
    click.echo(f"total tokens  {data.train.tokens + data.val.tokens:,}")
    click.echo(f"vocabulary    {tokenizer.vocab_size:,} tokens")
    click.echo(written(f"size on disk  {size} in {data.folder}"))
    click.echo("unchanged since it was prepared" if data.cached else "prepared")
    if data.duplicates:
        click.echo(f"repeated      {counted(data.duplicates, 'document')} left out")
    if data.rejected:
        click.echo(
            f"rejected      {counted(data.rejected, 'row')} left out; see why: llm data check"
        )
    for entry in skipped:
        click.echo(steady(f"passed over: {entry}"), err=True)
    if data.train.bytes < LITTLE_BYTES:
        click.echo(
            f"warning: {decimal(data.train.bytes)} of text is little; the model will learn it by "
            "heart. Add more to data/raw, or make some: llm synth",
            err=True,
        )
