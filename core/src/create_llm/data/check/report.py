"""What a check of a corpus tells."""

from __future__ import annotations

from dataclasses import dataclass

from create_llm.data.check.lengths import Lengths
from create_llm.data.check.overlap import Overlap
from create_llm.data.check.repeats import Repeats
from create_llm.data.problems import ProblemKind
from create_llm.errors import DataError

SHORT = 20
"""Characters; a document of fewer is told as very short."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """One file: each of its rows is among the documents or among the rejected.

    Attributes:
        structure: None where the file does not show it, as where nothing in it can be read.
        side: "train", "val", or "split" into both.
        bytes: on disk where the source knows it, else UTF-8 bytes of the documents.
        mixed: the name of its source in a mixture; None where there is none.
    """

    path: str
    format: str
    structure: str | None
    evidence: tuple[str, ...]
    documents: int
    rejected: int
    bytes: int
    side: str
    mixed: str | None = None


@dataclass(frozen=True, slots=True)
class RepeatedText:
    """A text that stands in the corpus `count` times, and the first places where it does.

    Places are file:line; where several of them are in one line, with the row's number in its file.
    """

    text: str
    count: int
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        rejected: rows, lines or files that no document could be made of.
        problems: by kind, file after file; past a few thousand kinds no more are noted.
        text_bytes: UTF-8 bytes of the documents.
        short: documents of fewer than `SHORT` characters.
        short_texts: of these, plain text.
        deduplicated: whether preparation leaves these repetitions out.
        repeated: the texts that are repeated most.
        overlap: None where the two sides could not be compared.
        skipped: what the sources passed over, each with the reason.
        failure: why nothing can be prepared from this corpus, if that is so.
    """

    files: tuple[CheckedFile, ...]
    documents: int
    rejected: int
    problems: tuple[ProblemKind, ...]
    text_bytes: int
    train_documents: int
    val_documents: int
    val_bytes: int
    lengths: Lengths
    short: int
    short_texts: int
    short_places: tuple[str, ...]
    repeats: Repeats
    deduplicated: bool
    repeated: tuple[RepeatedText, ...]
    overlap: Overlap | None
    skipped: tuple[str, ...]
    failure: DataError | None

    @property
    def usable(self) -> bool:
        return self.failure is None and self.documents > 0
