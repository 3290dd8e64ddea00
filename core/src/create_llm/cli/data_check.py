"""llm data check: what the data is, what is wrong with it, what it would make."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.data_sources import Opened, open_corpus
from create_llm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from create_llm.data.check.report import Report
    from create_llm.data.encoding import DocumentEncoder
    from create_llm.data.preparation.prepare import Progress
    from create_llm.data.problems import ProblemKind

_EXAMPLES = """\b
Examples:
  llm data check
  llm data check book.txt more-books/
"""


@click.command("check", epilog=_EXAMPLES)
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@click.option(
    "--tokens", is_flag=True, help="Lengths in tokens, if a tokenizer has to be trained for it."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def check(app: App, paths: tuple[str, ...], tokens: bool, as_json: bool) -> None:
    """Say what the data is and what is wrong with it; change nothing.

    Reads the project's data, or files and folders as the project would read them. Names format
    and structure of each file and why, what cannot be used and where, how long the documents are,
    which are repeated, and how much of the validation text stands in the training text too.
    """
    from create_llm.cli.data_report import show_report
    from create_llm.cli.progress import progress_bars
    from create_llm.data.check.checking import check as check_corpus

    opened = open_corpus(app, paths)
    with progress_bars() as progress:
        encoder = _encoder(app, opened, progress, wanted=tokens)
        try:
            report = check_corpus(opened.corpus, encoder=encoder, progress=progress)
        except DataError as error:
            raise _without_this_command(error) from error
    if as_json:
        for piece in json_pieces(report):
            click.echo(piece, nl=False)
        click.echo()
    else:
        show_report(report)
        if report.usable:
            click.echo(f"\nNext: {_next(opened)}", err=True)
    if report.failure is not None:
        raise _without_this_command(report.failure)
    if report.documents == 0:
        raise DataError("no document can be made of any of this", fixes=("see the problems above",))


def _without_this_command(error: DataError) -> DataError:
    """The error without the advice to do what has just been done."""
    fixes = (fix for fix in error.fixes if "llm data check" not in fix)
    return DataError(error.what, where=error.where, fixes=fixes)


def json_pieces(report: Report) -> Iterator[str]:
    """The report as one JSON object under the keys that scripts rely on, little by little.

    Of a million files it has hundreds of megabytes.
    """
    yield '{"files": ['
    for number, file in enumerate(report.files):
        values = {name: getattr(file, name) for name in file.__dataclass_fields__}
        yield f"{', ' if number else ''}{json.dumps(values, ensure_ascii=False)}"
    yield "], " + json.dumps(_without_files(report), ensure_ascii=False)[1:]


def _without_files(report: Report) -> dict[str, object]:
    from create_llm.data.check.advice import advice

    overlap = report.overlap
    return {
        "documents": report.documents,
        "rejected": report.rejected,
        "problems": [row for kind in report.problems for row in _problem_rows(kind)],
        "skipped": list(report.skipped),
        "text_bytes": report.text_bytes,
        "train_documents": report.train_documents,
        "val_documents": report.val_documents,
        "val_bytes": report.val_bytes,
        "lengths": asdict(report.lengths),
        "short": {"documents": report.short, "places": list(report.short_places)},
        "repeats": {
            "documents": report.repeats.documents,
            "share": report.repeats.share,
            "sampled": report.repeats.sampled,
            "most": [asdict(text) for text in report.repeated],
        },
        "overlap": None if overlap is None else asdict(overlap),
        "advice": [asdict(each) for each in advice(report)],
        "usable": report.usable,
    }


def _problem_rows(kind: ProblemKind) -> list[dict[str, object]]:
    """A row for each that is known by its line; `more` of the last counts the others alike."""
    rows: list[dict[str, object]] = [
        {
            "file": each.origin.path,
            "line": each.origin.line,
            "problem": each.problem,
            "suggestion": each.suggestion,
            "more": 0,
        }
        for each in kind.first
    ]
    rows[-1]["more"] = kind.count - len(rows)
    return rows


def _next(opened: Opened) -> str:
    if opened.project is None:
        return "llm new my-llm, then put this into my-llm/data/raw"
    return "llm data preview"


def _encoder(
    app: App, opened: Opened, progress: Progress, *, wanted: bool
) -> DocumentEncoder | None:
    """With the project's tokenizer, if it has one or one is wanted."""
    from create_llm.cli.tokenizer import needed_tokens
    from create_llm.data.check.encoder import project_encoder
    from create_llm.data.encoding import DocumentEncoder
    from create_llm.data.pipeline import conversation_template, ensure_tokenizer

    project, config = opened.project, opened.config
    if not wanted:
        return None if project is None else project_encoder(project, config, _warn)
    if project is None:
        raise ConfigError(
            "--tokens needs a project, which the tokenizer belongs to",
            where=str(app.root),
            fixes=("leave --tokens out: lengths are then in words", "llm new my-llm"),
        )
    tokens = needed_tokens(app, config)
    tokenizer = ensure_tokenizer(project, config, tokens, progress=progress)
    return DocumentEncoder(tokenizer, conversation_template(project, config))


def _warn(what: str) -> None:
    click.echo(f"warning: {what}", err=True)
