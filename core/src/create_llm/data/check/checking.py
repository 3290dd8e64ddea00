"""What a corpus holds, before anything is made of it: files, problems, lengths, repetitions.

The corpus is read twice and never held: once for all that can be counted, and once more to look
for the validation side's text in the training side's and for the places of what is repeated. What
is remembered meanwhile is bounded, but for a line about each file: a few hundred bytes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from create_llm.data.check.failures import Failures
from create_llm.data.check.reading import Comparing, Counts, read
from create_llm.data.check.report import Report
from create_llm.data.corpus import Corpus
from create_llm.data.encoding import DocumentEncoder
from create_llm.data.preparation.prepare import Progress
from create_llm.data.source import DataSource, documents_of, fetch_text, skipped_files
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
    counts, comparing, failures = Counts(encoder, total), None, Failures()
    fraction, failure = _fraction(corpus)
    told = partial(progress, "recognising the files") if progress else None
    counts.survey(corpus, told, failures.note)
    told = partial(progress, "reading the data") if progress else None
    for seen in read(corpus, fraction, total, told, failures.note, counts.reject):
        counts.add(seen)
    failure = failure or failures.decisive(corpus, counts)
    if failure is None:
        comparing = Comparing(counts.runs(), counts.repeats.result())
        told = partial(progress, "comparing train with validation") if progress else None
        for seen in read(corpus, fraction, total, told, failures.note):
            comparing.add(seen)
        failure = failures.decisive(corpus, counts)
    if failure is not None and not counts.files():
        raise failure
    return _report(corpus, counts, comparing, failure)


def _fraction(corpus: Corpus) -> tuple[float, DataError | None]:
    """The share for validation, or why there is none: that is told beside what is found."""
    try:
        return corpus.fraction(), None
    except DataError as error:
        usable = tuple(filter(_is_usable, corpus.sources)) if len(corpus.sources) > 1 else ()
        if not usable or len(usable) == len(corpus.sources):
            return 0.0, error
    # Reading tells what is wrong with the other paths.
    return _fraction(replace(corpus, sources=usable))


def _is_usable(source: DataSource) -> bool:
    try:
        next(documents_of(source), None)
    except DataError:
        return False
    return True


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
        short_texts=counts.short_texts,
        short_places=counts.short_places,
        repeats=counts.repeats.result(),
        deduplicated=corpus.deduplicate,
        repeated=comparing.repeated() if comparing else (),
        overlap=comparing.overlap() if comparing else None,
        skipped=tuple(skipped),
        failure=failure,
    )
