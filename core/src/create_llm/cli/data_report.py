"""How `llm data check` looks in the terminal."""

from __future__ import annotations

import codecs
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import click

from create_llm.cli.tables import show_table
from create_llm.cli.terminal import one_line

if TYPE_CHECKING:
    from create_llm.data.check.lengths import Lengths
    from create_llm.data.check.overlap import Overlap
    from create_llm.data.check.report import CheckedFile, Report
    from create_llm.data.problems import ProblemKind

# What fits on a screen; --json has all of it.
_MOST_FILES = 20
_MOST_EVIDENCE = 10
_MOST_PROBLEMS = 12
_FEW_MORE = 3
_FIRST = 3
_MOST_SKIPPED = 5
_BAR = 30
_EXCERPT = 40

_SIDES = {"split": "both", "train": "training", "val": "validation"}


def show_report(report: Report) -> None:
    """Print a report: what there is, what is wrong, what it means."""
    _show_files(report)
    _show_evidence(report.files)
    _show_problems(report)
    if report.documents:
        _show_lengths(report.lengths)
        _show_findings(report)
    _show_advice(report)
    _show_verdict(report)


def _heading(text: str) -> None:
    click.secho(f"\n{text}", bold=True)


def _show_files(report: Report) -> None:
    headers = ["file", "format", "structure", "for", "documents", "rejected", "size"]
    few = len(report.files) <= _MOST_FILES
    rows = [_row(file) for file in report.files] if few else _grouped(report.files)
    if len(rows) > 1:
        size = sum(file.bytes for file in report.files)
        rows.append(["total", "", "", "", *_numbers(report.documents, report.rejected, size)])
    if all(file.side == "split" for file in report.files):
        headers, rows = _without(headers, rows, headers.index("for"))
    show_table(headers, _right_justified(headers, rows), {})
    for entry in report.skipped[:_MOST_SKIPPED]:
        click.echo(f"passed over: {one_line(entry)}")
    if len(report.skipped) > _MOST_SKIPPED:
        click.echo(f"passed over: {len(report.skipped) - _MOST_SKIPPED:,} more")


def _row(file: CheckedFile) -> list[str]:
    kind = [file.format, _words(file.structure), _SIDES[file.side]]
    path = _of_mixture(file.mixed, one_line(file.path))
    return [path, *kind, *_numbers(file.documents, file.rejected, file.bytes)]


def _grouped(files: tuple[CheckedFile, ...]) -> list[list[str]]:
    """A row for the files of each kind, the most frequent first."""
    kinds = Counter((file.format, file.structure, file.side, file.mixed) for file in files)
    return [_group_row(files, *kind) for kind, _ in kinds.most_common()]


def _group_row(
    files: tuple[CheckedFile, ...], kind: str, structure: str | None, side: str, mixed: str | None
) -> list[str]:
    wanted = (kind, structure, side, mixed)
    alike = [f for f in files if (f.format, f.structure, f.side, f.mixed) == wanted]
    sums = (sum(getattr(f, name) for f in alike) for name in ("documents", "rejected", "bytes"))
    count = _of_mixture(
        mixed, f"{len(alike):,} files" if len(alike) > 1 else one_line(alike[0].path)
    )
    return [count, kind, _words(structure), _SIDES[side], *_numbers(*sums)]


def _of_mixture(mixed: str | None, what: str) -> str:
    return what if mixed is None else f"{one_line(mixed)}: {what}"


def _numbers(documents: int, rejected: int, size: int) -> list[str]:
    from rich.filesize import decimal

    return [f"{documents:,}", f"{rejected:,}", decimal(size)]


def _without(
    headers: list[str], rows: list[list[str]], column: int
) -> tuple[list[str], list[list[str]]]:
    headers, *rows = ([*row[:column], *row[column + 1 :]] for row in (headers, *rows))
    return headers, rows


def _right_justified(headers: list[str], rows: list[list[str]]) -> list[list[str]]:
    """The rows with the numbers, which are the last three columns, set to the right."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    return [
        [*row[:-3], *(cell.rjust(width) for cell, width in zip(row[-3:], widths[-3:], strict=True))]
        for row in rows
    ]


def _words(structure: str | None) -> str:
    return "" if structure is None else structure.replace("_", "/")


def _show_evidence(files: tuple[CheckedFile, ...]) -> None:
    """Why each file was taken for what it is; files with the same reasons together.

    Of a file that nothing is kept of, its problem says enough.
    """
    reasons: dict[tuple[str, ...], list[str]] = {}
    for file in files:
        if file.evidence and file.documents:
            reasons.setdefault(file.evidence, []).append(file.path)
    if reasons:
        _heading("How they were recognised")
    unusual_first = sorted(reasons.items(), key=lambda item: not _is_unusual(item[0]))
    for evidence, paths in islice(unusual_first, _MOST_EVIDENCE):
        others = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
        click.echo(f"{one_line(paths[0])}{others}: {one_line('; '.join(evidence))}")
    if len(reasons) > _MOST_EVIDENCE:
        click.echo(f"… and in {len(reasons) - _MOST_EVIDENCE:,} other ways: --json has them all")


def _is_unusual(evidence: tuple[str, ...]) -> bool:
    """Whether one of the reasons begins with the name of an encoding other than UTF-8."""
    return any(_encoding(reason) not in (None, "utf-8", "ascii") for reason in evidence)


def _encoding(reason: str) -> str | None:
    try:
        return codecs.lookup(reason.partition(":")[0].partition(" (")[0]).name
    except (LookupError, ValueError):
        return None


def _show_problems(report: Report) -> None:
    if not report.rejected:
        return
    rows = counted(report.documents + report.rejected, "row")
    _heading(f"Left out: {report.rejected:,} of {rows}")
    kinds: Sequence[Sequence[ProblemKind]] = [[kind] for kind in report.problems]
    if len(kinds) > _MOST_PROBLEMS:
        kinds = _same_in_all_files(report.problems)
    # A few more are shown rather than told of.
    shown = kinds if len(kinds) <= _MOST_PROBLEMS + _FEW_MORE else kinds[:_MOST_PROBLEMS]
    for kind in shown:
        _show_kind(kind)
    rest = report.rejected - sum(one.count for kind in shown for one in kind)
    if rest:
        click.echo(f"… and {rest:,} of other kinds: --json lists more of them")


def _same_in_all_files(problems: tuple[ProblemKind, ...]) -> list[list[ProblemKind]]:
    kinds: dict[str, list[ProblemKind]] = {}
    for problem in problems:
        kinds.setdefault(problem.words, []).append(problem)
    return list(kinds.values())


def _show_kind(files: Sequence[ProblemKind]) -> None:
    """One kind of problem, in one file or in several."""
    first = [rejected for kind in files for rejected in kind.first][:_FIRST]
    for rejected in first:
        click.echo(f"{one_line(str(rejected.origin))}: {one_line(rejected.problem)}")
    more = sum(kind.count for kind in files) - len(first)
    if more:
        where = "that file" if len(files) == 1 else f"{len(files):,} files"
        click.echo(f"… and {more:,} more like it in {where}")
    click.echo(f"  try: {one_line(first[0].suggestion)}")


def _show_lengths(lengths: Lengths) -> None:
    sample = ", of a fair sample" if lengths.sampled else ""
    _heading(f"Length in {lengths.unit}{sample}")
    most = max(part.count for part in lengths.bins)
    labels = [_range(part.low, part.high) for part in lengths.bins]
    width, counted = max(map(len, labels)), max(len(f"{part.count:,}") for part in lengths.bins)
    block = _block()
    for label, part in zip(labels, lengths.bins, strict=True):
        bar = block * max(round(_BAR * part.count / most), 1 if part.count else 0)
        click.echo(f"{label.rjust(width)}  {part.count:>{counted},}  {bar}".rstrip())
    click.echo(f"mean {lengths.mean:,}, longest {lengths.longest:,}")


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _block() -> str:
    """What bars are made of, where the terminal can show it."""
    try:
        "█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"


def _show_findings(report: Report) -> None:
    from create_llm.data.check.report import SHORT

    _heading("What the model gets")
    kept = f"{report.val_documents:,} kept back for validation"
    _show_finding("documents", f"{report.train_documents:,} to train on, {kept}")
    if report.overlap is not None:
        _show_finding("overlap", _overlap(report.overlap))
    _show_finding("repeated", _repeats(report))
    for text in report.repeated:
        _show_finding("", f"{text.count:,} times {_excerpt(text.text)}: {_places(text.places)}")
    short = (
        f"{counted(report.short, 'document')} of fewer than {SHORT} characters"
        if report.short
        else ""
    )
    _show_finding("very short", f"{short}: {_places(report.short_places)}" if short else "none")


def _show_finding(name: str, what: str) -> None:
    click.echo(f"{name:<11} {what}")


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _overlap(found: Overlap) -> str:
    from create_llm.data.check.overlap import WORDS

    if not found.documents:
        return f"not known: no validation document has {WORDS} words"
    sample = " (a fair sample)" if found.sampled else ""
    runs = f"; {found.shared_runs / found.runs:.2%} of all such runs" if found.shared_runs else ""
    return (
        f"{found.shared_documents:,} of {found.documents:,} validation documents{sample} have "
        f"{WORDS} words in a row that stand in the training text too{runs}"
    )


def _repeats(report: Report) -> str:
    repeats = report.repeats
    if not repeats.documents:
        return "none"
    about = "about " if repeats.sampled else ""
    left_out = "; data.deduplicate leaves them out" if report.deduplicated else ""
    verb = "repeats" if repeats.documents == 1 else "repeat"
    share = f"({repeats.share:.1%}) {verb} an earlier one"
    return f"{about}{counted(repeats.documents, 'document')} {share}{left_out}"


def _places(places: tuple[str, ...]) -> str:
    return one_line(", ".join(places))


def _excerpt(text: str) -> str:
    return f"“{one_line(text[:_EXCERPT])}{'…' if len(text) > _EXCERPT else ''}”"


def _show_advice(report: Report) -> None:
    from create_llm.data.check.advice import advice

    found = advice(report)
    if found:
        _heading("Worth a thought")
    for each in found:
        click.echo(f"{one_line(each.problem)}\n  try: {one_line(each.suggestion)}")


def _show_verdict(report: Report) -> None:
    rows = counted(report.documents + report.rejected, "row")
    _heading(f"{report.documents:,} of {rows} kept")
