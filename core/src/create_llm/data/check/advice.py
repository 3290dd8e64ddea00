"""What to do about what a check found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from create_llm.data.check.overlap import WORDS
from create_llm.data.check.report import SHORT, Report

LITTLE_BYTES = 100_000
"""Less text than this is learnt by heart before anything general is."""

# Of what there are fewer, a few odd ones among many, nothing has to be done.
_MANY = 0.01
_MANY_RUNS = 0.001
_LITTLE_VALIDATION_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class Advice:
    """Something that is worth a thought, in plain words, and what to do about it."""

    problem: str
    suggestion: str


def advice(report: Report) -> tuple[Advice, ...]:
    """The most important first; none where all is well."""
    kinds: tuple[Callable[[Report], Iterator[Advice]], ...] = (
        _rejected,
        _empty,
        _little,
        _little_validation,
        _overlap,
        _repeats,
        _short,
    )
    return tuple(each for kind in kinds for each in kind(report))


def _rejected(report: Report) -> Iterator[Advice]:
    if report.rejected:
        rows = report.documents + report.rejected
        yield Advice(
            f"{report.rejected:,} of {rows:,} rows cannot be used and are left out",
            "repair them where the problems say; or leave it: training goes on with the rest",
        )


def _empty(report: Report) -> Iterator[Advice]:
    empty = [file.path for file in report.files if file.documents + file.rejected == 0]
    if empty:
        others = f" and {len(empty) - 1:,} more hold" if len(empty) > 1 else " holds"
        yield Advice(f"{empty[0]}{others} no text", "fill or remove what is empty")


def _little(report: Report) -> Iterator[Advice]:
    if report.documents and report.text_bytes < LITTLE_BYTES:
        yield Advice(
            f"{report.text_bytes:,} bytes of text are little: the model will learn them by heart",
            "add more to data/raw, or make some: llm synth; from a megabyte on it gets interesting",
        )


def _little_validation(report: Report) -> Iterator[Advice]:
    if report.failure is None and report.val_bytes < _LITTLE_VALIDATION_BYTES:
        yield Advice(
            f"only {report.val_bytes:,} bytes are kept for validation: its score will be noisy",
            "raise data.val_split, or give a validation file of your own: data.val_path",
        )


def _overlap(report: Report) -> Iterator[Advice]:
    found = report.overlap
    if found is None or found.shared_runs <= _MANY_RUNS * found.runs:
        return
    share = found.shared_documents / found.documents
    if share > _MANY:
        yield Advice(
            f"{share:.1%} of the validation documents share a run of {WORDS} words with the "
            "training text: scores will look better than they are",
            "remove what is copied between documents (quotations, headers, templates), or "
            "validate on a text of its own: data.val_path",
        )


def _repeats(report: Report) -> Iterator[Advice]:
    if report.repeats.share > _MANY and not report.deduplicated:
        yield Advice(
            f"{report.repeats.share:.1%} of the documents repeat an earlier one word for word: "
            "the model learns those by heart first",
            "keep one of each: data.deduplicate = true",
        )


def _short(report: Report) -> Iterator[Advice]:
    if report.short > _MANY * report.documents:
        yield Advice(
            f"{report.short:,} documents have fewer than {SHORT} characters",
            "join or remove them, if they are headings or leftovers rather than texts",
        )
