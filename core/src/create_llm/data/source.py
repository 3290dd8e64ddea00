"""Data sources and synthesizers: where documents come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from create_llm.data.documents import Document, Rejected
from create_llm.errors import PluginError


class DataSource(Protocol):
    """Built as `target(config, root)`; `root` is the project folder, for relative paths."""

    def documents(self) -> Iterator[Document | Rejected]:
        """All documents, in a fixed order, without holding them in memory; and, in their places,
        what none could be made of.

        Raises:
            DataError: nothing usable, or a file that cannot be read; says which and why.
        """
        ...

    def fingerprint(self) -> str:
        """SHA-256 (hex) that changes whenever the documents do; must not need to yield them."""
        ...

    def total_bytes(self) -> int | None:
        """UTF-8 bytes to expect, for progress bars; None when unknown."""
        ...


@dataclass(frozen=True, slots=True)
class FileSurvey:
    """What a source takes one of its files for, found from the file itself.

    Attributes:
        path: as origins name it.
        format: "text", "csv", "json", "jsonl" …; with the compression: "jsonl.gz".
        structure: text, instruction, messages, preference or prompt_completion; None where the
            file does not show it.
        evidence: why, one reason a line, the encoding's among them.
        bytes: of the file on disk.
    """

    path: str
    format: str
    structure: str | None
    evidence: tuple[str, ...]
    bytes: int


@runtime_checkable
class Surveyed(Protocol):
    """A source that can say what its files are; sources need not."""

    def survey(self) -> Iterator[FileSurvey]:
        """Each file in the order of `documents`, from its beginning alone.

        Raises:
            DataError: as `documents`.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourcePart:
    """A stretch of a source that is prepared by itself, and again only when it has changed.

    Attributes:
        fingerprint: SHA-256 (hex) that changes whenever its documents do.
    """

    name: str
    fingerprint: str


@runtime_checkable
class Divided(Protocol):
    """A source of parts that can be read apart and at the same time; sources need not be."""

    def parts(self) -> Sequence[SourcePart]:
        """In the order of `documents`. A change of the corpus leaves most of them as they are."""
        ...

    def documents_in(self, part: SourcePart) -> Iterator[Document | Rejected]:
        """Those of one part; all parts' one after another are `documents`."""
        ...


class Synthesizer(Protocol):
    """Built as `target(config)`."""

    def generate(self, samples: int, topic: str | None) -> Iterator[Document]:
        """Yield this many documents, about `topic` if one is given."""
        ...


def documents_of(
    source: DataSource, rejected: Callable[[Rejected], None] | None = None
) -> Iterator[Document]:
    """The documents of a source that hold text; one without is as good as rejected.

    Args:
        rejected: hears of what none could be made of, in its place among the documents.

    Raises:
        PluginError: the source yields something else.
        DataError: as the source does.
    """
    found: Iterator[object] = source.documents()
    for document in found:
        if isinstance(document, Rejected):
            if rejected is not None:
                rejected(document)
            continue
        if not isinstance(document, Document):
            raise PluginError(
                f"{type(source).__name__} yields a {type(document).__name__}; a data source has to "
                "yield Document objects, such as Document.plain(text, Origin(path, line))",
                where=type(source).__module__,
                fixes=("see docs/plugins/data_sources.md", "check it: llm plugins test NAME"),
            )
        if document.text:
            yield document
        elif rejected is not None:
            rejected(Rejected(document.origin, "it holds no text", "remove it, or fill it"))


def validation_source(source: DataSource) -> DataSource | None:
    """The separate source of validation documents; None: a part of the documents is split off.

    A source offers one by a method `validation() -> DataSource | None`, which it need not have.
    """
    validation = getattr(source, "validation", None)
    separate: DataSource | None = validation() if validation is not None else None
    return separate


def files_of(source: DataSource) -> Iterator[str]:
    """The files or addresses that a source reads, under names that any other source gives them
    too: absolute paths without links, URLs.

    A source tells by a method `files() -> Iterator[str]`, which it need not have.

    Raises:
        DataError: as the source does.
    """
    files = getattr(source, "files", None)
    if files is not None:
        yield from files()


def fetch_text(source: DataSource, progress: Callable[[str, int, int | None], None] | None) -> None:
    """Bring the text of a source here, and tell `progress` how far it is.

    A source whose text is elsewhere offers it by a method `fetch(progress)`, which it need not
    have; where nobody calls it, the first method that needs the text does the same unseen.

    Raises:
        CreateLLMError: as the source does.
    """
    fetch = getattr(source, "fetch", None)
    if fetch is not None and progress is not None:
        fetch(progress)


def skipped_files(source: DataSource) -> list[str]:
    """What a source passed over, as it tells in an attribute `skipped`, which it need not have."""
    return list(getattr(source, "skipped", ()))


def kind_of(source: DataSource) -> str:
    """What reads the text: two sources may read one file in different ways."""
    kind = type(source)
    return f"{kind.__module__}.{kind.__qualname__}"


def identity_of(source: DataSource) -> str:
    """Which source, and its text."""
    return f"{kind_of(source)} {source.fingerprint()}"
