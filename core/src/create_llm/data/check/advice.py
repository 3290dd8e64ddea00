"""What to do about what a check found."""

from __future__ import annotations

import difflib
import re
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

# What the two sides are called where data sets are published in two files or folders.
_TRAINING, _VALIDATION = ("train", "training"), ("val", "valid", "validation")
_CLOSE = 0.76  # "vall" and "validate" are, "value" and "valley" are not
_NAME = re.compile(r"[a-z]+", re.IGNORECASE)


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
        _misspelt,
        _overlap,
        _repeats,
        _short,
    )
    return tuple(each for kind in kinds for each in kind(report))


def _rejected(report: Report) -> Iterator[Advice]:
    if report.rejected:
        rows = report.documents + report.rejected
        are = "is" if report.rejected == 1 else "are"
        yield Advice(
            f"{report.rejected:,} of {_counted(rows, 'row')} cannot be used and {are} left out",
            "repair them where the problems say; or leave it: training goes on with the rest",
        )


def _empty(report: Report) -> Iterator[Advice]:
    if report.failure is not None:  # not all was read, perhaps
        return
    empty = [file.path for file in report.files if file.documents + file.rejected == 0]
    if empty:
        others = f" and {len(empty) - 1:,} more hold" if len(empty) > 1 else " holds"
        yield Advice(f"{empty[0]}{others} no text", "fill or remove what is empty")


def _little(report: Report) -> Iterator[Advice]:
    if report.documents and report.text_bytes < LITTLE_BYTES:
        yield Advice(
            f"{_counted(report.text_bytes, 'byte')} of text: so little is learnt by heart",
            "add more to data/raw, or make some: llm synth; from a megabyte on it gets interesting",
        )


def _little_validation(report: Report) -> Iterator[Advice]:
    if report.failure is None and report.val_bytes < _LITTLE_VALIDATION_BYTES:
        yield Advice(
            f"only {_counted(report.val_bytes, 'byte')} kept for validation: "
            "its score will be noisy",
            "raise data.val_split, or give a validation file of your own: data.val_path",
        )


def _misspelt(report: Report) -> Iterator[Advice]:
    """A validation file that is trained on, because its name is not quite what it was to be."""
    if any(file.side != "split" for file in report.files):
        return
    parts = (part for file in report.files for part in file.path.split("/"))
    named = {match[0].lower(): match.string for part in parts if (match := _NAME.match(part))}
    if named.keys().isdisjoint(_TRAINING):
        return
    for name, component in named.items():
        close = difflib.get_close_matches(name, _VALIDATION, n=1, cutoff=_CLOSE)
        if close and name not in _VALIDATION:
            meant = close[0] + component[len(name) :]
            yield Advice(
                f"{component} stands beside the training text and is trained on: validation text "
                f"is known by the name {close[0]}",
                f"rename it to {meant} if it is for validation, or set data.val_path; or leave it",
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
        have = "has" if report.short == 1 else "have"
        plain = report.short_texts * 2 > report.short
        yield Advice(
            f"{_counted(report.short, 'document')} {have} fewer than {SHORT} characters",
            "join or remove them, if they are headings or leftovers rather than texts"
            if plain
            else "leave them if short answers are what you want; longer ones teach more",
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
