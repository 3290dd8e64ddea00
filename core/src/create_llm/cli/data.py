"""llm data: look at the data and turn it into token shards."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.tokenizer import needed_tokens, one_line, open_project, spelling, visible

if TYPE_CHECKING:
    from create_llm.data.documents import Document
    from create_llm.data.prepare import PreparedData
    from create_llm.data.shards import TokenShards
    from create_llm.data.tokenizer import Tokenizer

# Fewer bytes than this are learnt by heart before anything general is.
_LITTLE = 100_000
_SHOWN_TEXT = 400
_SHOWN_TOKENS = 48


@click.group("data")
def command() -> None:
    """Look at the data and turn it into token shards.

    \b
    Example: llm data preview
    """


@command.command("prepare", epilog="\b\nExample:\n  llm data prepare")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def prepare(app: App, as_json: bool) -> None:
    """Turn the project's text into token shards in data/processed.

    Trains the tokenizer first if there is none. Does nothing when neither the text nor the
    settings have changed.
    """
    from create_llm.cli.progress import progress_bars
    from create_llm.data.pipeline import data_source, ensure_data, ensure_tokenizer, skipped_files

    project, config = open_project(app)
    with progress_bars() as progress:
        tokenizer = ensure_tokenizer(project, config, needed_tokens(app, config), progress=progress)
        data = ensure_data(project, config, tokenizer, progress=progress)
    skipped = skipped_files(data_source(project, config))
    if as_json:
        click.echo(json.dumps(_prepared_json(data, tokenizer, skipped), ensure_ascii=False))
    else:
        _show_prepared(data, tokenizer, skipped)


@command.command("preview", epilog="\b\nExample:\n  llm data preview -n 5")
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How many documents to show.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def preview(app: App, count: int, as_json: bool) -> None:
    """Show the first documents as the model will see them: divided into tokens."""
    from create_llm.cli.progress import progress_bars
    from create_llm.data.pipeline import data_source, ensure_tokenizer
    from create_llm.data.source import documents_of

    project, config = open_project(app)
    with progress_bars() as progress:
        tokenizer = ensure_tokenizer(project, config, needed_tokens(app, config), progress=progress)
    source = data_source(project, config)
    examples = [_example(document, tokenizer) for document in islice(documents_of(source), count)]
    if as_json:
        click.echo(
            json.dumps({"documents": [asdict(example) for example in examples]}, ensure_ascii=False)
        )
    else:
        for example in examples:
            _show_example(example)


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
        "skipped": skipped,
    }


def _show_prepared(data: PreparedData, tokenizer: Tokenizer, skipped: list[str]) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    table = Table("", "documents", "text", "tokens")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, side in (("train", data.train), ("validation", data.val)):
        table.add_row(name, f"{side.documents:,}", decimal(side.bytes), f"{side.tokens:,}")
    Console().print(table)
    size = decimal(data.train.disk_bytes + data.val.disk_bytes)
    click.echo(f"total tokens  {data.train.tokens + data.val.tokens:,}")
    click.echo(f"vocabulary    {tokenizer.vocab_size:,} tokens")
    click.echo(f"size on disk  {size} in {data.folder}")
    click.echo("unchanged since it was prepared" if data.cached else "prepared")
    for entry in skipped:
        click.echo(f"passed over: {entry}", err=True)
    if data.train.bytes < _LITTLE:
        click.echo(
            f"warning: {decimal(data.train.bytes)} of text is little; the model will learn it by "
            "heart. Add more to data/raw, or make some: llm synth",
            err=True,
        )


@dataclass(frozen=True)
class Example:
    """A document and the tokens that stand for it in the stream, with the EOS on both sides."""

    origin: str
    text: str
    ids: list[int]
    tokens: list[str]


def _example(document: Document, tokenizer: Tokenizer) -> Example:
    eos = tokenizer.special.eos
    ids = [eos, *tokenizer.encode_batch([document.text])[0], eos]
    tokens = [spelling(tokenizer, token_id) for token_id in ids]
    return Example(str(document.origin), document.text, ids, tokens)


def _show_example(example: Example) -> None:
    from create_llm.data.split import utf8_size

    text, tokens = example.text, example.tokens
    size = utf8_size(text)
    click.secho(f"{example.origin}   {size:,} bytes, {len(tokens):,} tokens", bold=True)
    more = "…" if len(text) > _SHOWN_TEXT else ""
    click.echo(visible(text[:_SHOWN_TEXT]).rstrip("\n") + more)
    more = " …" if len(tokens) > _SHOWN_TOKENS else ""
    click.echo("tokens: " + "|".join(map(one_line, tokens[:_SHOWN_TOKENS])) + more + "\n")
