"""What a check notes down while it reads a corpus from beginning to end, which it does twice."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import TypeVar

from create_llm.data.check.lengths import LengthMeter
from create_llm.data.check.overlap import Comparison, Overlap, ValidationRuns
from create_llm.data.check.repeats import RepeatCounter, Repeats
from create_llm.data.check.report import SHORT, CheckedFile, RepeatedText
from create_llm.data.corpus import Corpus, Side
from create_llm.data.documents import Document, Origin, Rejected
from create_llm.data.encoding import DocumentEncoder
from create_llm.data.problems import ProblemCounter
from create_llm.data.source import DataSource, FileSurvey, Surveyed, documents_of
from create_llm.data.split import split_position, utf8_size
from create_llm.errors import DataError

ItemT = TypeVar("ItemT")

_TOLD = 3
_SHOWN_CHARACTERS = 80
_PROGRESS_BYTES = 1_000_000
_BATCH_CHARACTERS = 250_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A document that passes by.

    Attributes:
        side: its source, and what that is for.
        position: its place in the split, a hash of its text.
        size: UTF-8 bytes of its text.
        row: its number among what its file holds, from 1.
    """

    document: Document
    side: Side
    position: float
    in_validation: bool
    size: int
    row: int

    @property
    def place(self) -> _Place:
        return _Place(str(self.document.origin), self.row)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a document stands: its origin, and what tells it from others in the same line."""

    origin: str
    row: int


@dataclass(slots=True)
class _Tally:
    """What is counted of one file."""

    side: Side
    survey: FileSurvey | None = None
    structure: str | None = None
    documents: int = 0
    rejected: int = 0
    text_bytes: int = 0

    def checked(self, path: str) -> CheckedFile:
        """What the source says of the file; where it says nothing, what its documents show."""
        survey = self.survey or FileSurvey(
            path, _extension(path), self.structure, (), self.text_bytes
        )
        return CheckedFile(
            path=path,
            format=survey.format,
            structure=survey.structure,
            evidence=survey.evidence,
            documents=self.documents,
            rejected=self.rejected,
            bytes=survey.bytes,
            side=self.side.use,
            mixed=self.side.mixed,
        )


@dataclass(slots=True)
class _Waiting:
    """Documents gathered until there are enough for a call that costs something by itself."""

    texts: list[str] = field(default_factory=list)
    positions: list[float] = field(default_factory=list)
    characters: int = 0

    def add(self, seen: Seen) -> bool:
        """Whether there are enough now."""
        self.texts.append(seen.document.text)
        self.positions.append(seen.position)
        self.characters += len(seen.document.text)
        return self.characters >= _BATCH_CHARACTERS


class Counts:
    """What the first reading notes: all that can be counted while documents pass by."""

    def __init__(self, encoder: DocumentEncoder | None, total: int | None) -> None:
        self.problems = ProblemCounter()
        self.repeats = RepeatCounter()
        self.lengths = LengthMeter(encoder, total)
        self.documents = self.validation = self.short = self.short_texts = 0
        self.text_bytes = self.val_bytes = 0
        self._short_places: list[_Place] = []
        self._runs, self._waiting = ValidationRuns(), _Waiting()
        self._tallies: dict[tuple[str, str | None], dict[str, _Tally]] = {}
        self._evidence: dict[tuple[str, ...], tuple[str, ...]] = {}

    def survey(
        self,
        corpus: Corpus,
        progress: Callable[[int, int | None], None] | None,
        failed: Callable[[Side, DataError], None],
    ) -> None:
        """Ask the sources that can say it what their files are.

        Args:
            progress: hears how many bytes the files have that were looked at.
            failed: hears of a source that could not be read, or not to its end.
        """
        done = told = 0
        for side in corpus.sides():
            for survey in _until_failed(side, _survey(side.source), failed):
                self._tally(side, survey.path).survey = self._shared(survey)
                done += survey.bytes
                if progress is not None and done - told >= _PROGRESS_BYTES:
                    progress(done, None)
                    told = done
        if progress is not None and done:
            progress(done, done)

    def add(self, seen: Seen) -> None:
        document = seen.document
        tally = self._tally(seen.side, document.origin.path)
        if tally.documents == 0:
            tally.structure = _structure(document)
        tally.documents += 1
        tally.text_bytes += seen.size
        self.documents += 1
        self.text_bytes += seen.size
        self.repeats.add(seen.position)
        self.lengths.add(document, seen.position)
        self._note_short(seen, plain=_structure(document) == "text")
        if seen.in_validation:
            self.validation += 1
            self.val_bytes += seen.size
            if self._waiting.add(seen):
                self._keep_runs()

    def reject(self, side: Side, rejected: Rejected) -> None:
        self._tally(side, rejected.origin.path).rejected += 1
        self.problems.add(rejected)

    @property
    def short_places(self) -> tuple[str, ...]:
        return _told(self._short_places)

    def is_all_rejected(self, side: Side) -> bool:
        """Whether its source held something, and nothing of it can be used."""
        tallies = self._tallies.get((side.use, side.mixed), {}).values()
        own = [tally for tally in tallies if tally.side.source is side.source]
        return any(tally.rejected for tally in own) and not any(tally.documents for tally in own)

    def files(self) -> tuple[CheckedFile, ...]:
        tallies = chain.from_iterable(each.items() for each in self._tallies.values())
        return tuple(tally.checked(path) for path, tally in tallies)

    def runs(self) -> ValidationRuns:
        """Those of all validation documents that were added."""
        self._keep_runs()
        return self._runs

    def _tally(self, side: Side, path: str) -> _Tally:
        tallies = self._tallies.setdefault((side.use, side.mixed), {})
        if path not in tallies:
            tallies[path] = _Tally(side)
        return tallies[path]

    def _shared(self, survey: FileSurvey) -> FileSurvey:
        """The same, with the words that it has in common with others held once."""
        evidence = self._evidence.setdefault(survey.evidence, survey.evidence)
        return replace(survey, format=sys.intern(survey.format), evidence=evidence)

    def _note_short(self, seen: Seen, *, plain: bool) -> None:
        if len(seen.document.text) < SHORT:
            self.short += 1
            self.short_texts += plain
            if len(self._short_places) < _TOLD:
                self._short_places.append(seen.place)

    def _keep_runs(self) -> None:
        self._runs.add(self._waiting.texts, self._waiting.positions)
        self._waiting = _Waiting()


class Comparing:
    """What the second reading notes, in the knowledge of the first."""

    def __init__(self, runs: ValidationRuns, repeats: Repeats) -> None:
        self._comparison, self._repeats = Comparison(runs), repeats
        self._waiting = _Waiting()
        self._places: dict[float, list[_Place]] = {position: [] for position in repeats.most}
        self._texts: dict[float, str] = {}

    def add(self, seen: Seen) -> None:
        places = self._places.get(seen.position)
        if places is not None and len(places) < _TOLD:
            places.append(seen.place)
            text = " ".join(segment.text for segment in seen.document.segments)
            self._texts[seen.position] = text[:_SHOWN_CHARACTERS]
        if not seen.in_validation and self._waiting.add(seen):
            self._look()

    def overlap(self) -> Overlap:
        self._look()
        return self._comparison.result()

    def repeated(self) -> tuple[RepeatedText, ...]:
        """The texts that are repeated most, with the places that were passed."""
        return tuple(
            RepeatedText(self._texts[position], self._repeats.most[position], _told(places))
            for position, places in self._places.items()
            if places
        )

    def _look(self) -> None:
        self._comparison.look_at(self._waiting.texts)
        self._waiting = _Waiting()


def read(
    corpus: Corpus,
    fraction: float,
    total: int | None,
    progress: Callable[[int, int | None], None] | None,
    failed: Callable[[Side, DataError], None],
    rejected: Callable[[Side, Rejected], None] | None = None,
) -> Iterator[Seen]:
    """All documents of a corpus, one after the other.

    Args:
        fraction: the share of what is to be split that is for validation.
        total: bytes to expect, if that is known.
        progress: hears how many bytes of how many have been read.
        failed: hears of a source that could not be read, or not to its end.
        rejected: hears of what no document could be made of, and of its source.
    """
    done = told = 0
    for side in corpus.sides():
        rows = _Rows(None if rejected is None else partial(rejected, side))
        for document in _until_failed(side, documents_of(side.source, rows.reject), failed):
            position, size = split_position(document.text), utf8_size(document.text)
            in_validation = side.use == "val" or (side.use == "split" and position < fraction)
            yield Seen(document, side, position, in_validation, size, rows.next(document.origin))
            done += size
            if progress is not None and done - told >= _PROGRESS_BYTES:
                progress(done, total)
                told = done
    if progress is not None:  # what was to be expected was a guess, of rows at least
        progress(done, done)


class _Rows:
    """Numbers what a source yields, anew in each file."""

    def __init__(self, rejected: Callable[[Rejected], None] | None) -> None:
        self._rejected = rejected
        self._path, self._number = "", 0

    def next(self, origin: Origin) -> int:
        self._number = self._number + 1 if origin.path == self._path else 1
        self._path = origin.path
        return self._number

    def reject(self, rejected: Rejected) -> None:
        self.next(rejected.origin)
        if self._rejected is not None:
            self._rejected(rejected)


def _until_failed(
    side: Side, items: Iterator[ItemT], failed: Callable[[Side, DataError], None]
) -> Iterator[ItemT]:
    try:
        yield from items
    except DataError as error:
        failed(side, error)


def _survey(source: DataSource) -> Iterator[FileSurvey]:
    if isinstance(source, Surveyed):
        yield from source.survey()


def _told(places: Sequence[_Place]) -> tuple[str, ...]:
    lines = Counter(place.origin for place in places)
    return tuple(
        place.origin if lines[place.origin] == 1 else f"{place.origin} (row {place.row:,})"
        for place in places
    )


def _structure(document: Document) -> str:
    if "structure" in document.meta:
        return document.meta["structure"]
    if document.rejected is not None:
        return "preference"
    return "text" if all(each.role == "text" for each in document.segments) else "messages"


def _extension(path: str) -> str:
    """Of a file that its source says nothing about; what has none is text."""
    stem, dot, extension = path.rpartition("/")[2].rpartition(".")
    return extension if stem and dot else "text"
