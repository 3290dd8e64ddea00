"""What a corpus holds, before anything is made of it: files, problems, lengths, repetitions.

The corpus is read twice and never held: once for all that can be counted, and once more to look
for the validation side's text in the training side's and for the places of what is repeated. What
is remembered meanwhile is bounded, but for a line about each file: a few hundred bytes.
"""

from __future__ import annotations

from functools import partial

from create_llm.data.check.reading import Comparing, Counts, read
from create_llm.data.check.report import Report
from create_llm.data.corpus import Corpus
from create_llm.data.encoding import DocumentEncoder
from create_llm.data.preparation.prepare import Progress
from create_llm.data.source import fetch_text, skipped_files
from create_llm.errors import DataError


def check(
    corpus: Corpus, *, encoder: DocumentEncoder | None = None, progress: Progress | None = None
) -> Report:
    """Read a corpus and tell what is in it.

    Args:
        encoder: to measure lengths in tokens; without one they are in words.

    Raises:
        DataError: there is nothing at all to tell of.
    """
    for side in corpus.sides():
        fetch_text(side.source, progress)
    total = corpus.total_bytes()
    counts, comparing, failure = Counts(encoder, total), None, None
    try:
        fraction, failure = _fraction(corpus)
        counts.survey(corpus, partial(progress, "recognising the files") if progress else None)
        told = partial(progress, "reading the data") if progress else None
        for seen in read(corpus, fraction, total, told, counts.reject):
            counts.add(seen)
        if failure is None:
            comparing = Comparing(counts.runs(), counts.repeats.result())
            told = partial(progress, "comparing train with validation") if progress else None
            for seen in read(corpus, fraction, total, told):
                comparing.add(seen)
    except DataError as error:
        failure = failure or error
    if failure is not None and not counts.files():
        raise failure
    return _report(corpus, counts, comparing, failure)


def _fraction(corpus: Corpus) -> tuple[float, DataError | None]:
    """The share for validation, or why there is none: that is told beside what is found."""
    try:
        return corpus.fraction(), None
    except DataError as error:
        return 0.0, error


def _report(
    corpus: Corpus, counts: Counts, comparing: Comparing | None, failure: DataError | None
) -> Report:
    skipped = [entry for side in corpus.sides() for entry in skipped_files(side.source)]
    return Report(
        files=counts.files(),
        documents=counts.documents,
        rejected=counts.problems.count,
        problems=counts.problems.kinds(),
        text_bytes=counts.text_bytes,
        train_documents=counts.documents - counts.validation,
        val_documents=counts.validation,
        val_bytes=counts.val_bytes,
        lengths=counts.lengths.summary(),
        short=counts.short,
        short_places=tuple(counts.short_places),
        repeats=counts.repeats.result(),
        deduplicated=corpus.deduplicate,
        repeated=comparing.repeated() if comparing else (),
        overlap=comparing.overlap() if comparing else None,
        skipped=tuple(skipped),
        failure=failure,
    )
