"""The sources that a project's data comes from, and the side of the split each is for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from create_llm.data.source import DataSource, documents_of
from create_llm.data.split import working_fraction


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is read together.

    Attributes:
        val_split: the share of the documents that is kept back, where `val_source` is None.
        val_source: where validation comes from, if it has a source of its own.
        deduplicate: whether preparation keeps only the first of equal documents.
    """

    sources: tuple[DataSource, ...]
    val_split: float
    val_source: DataSource | None = None
    deduplicate: bool = False

    def sides(self) -> Iterator[tuple[str, DataSource]]:
        """Each source and what it is for: "train", "val", or "split" into both."""
        for source in self.sources:
            yield ("split" if self.val_source is None else "train"), source
        if self.val_source is not None:
            yield "val", self.val_source

    def total_bytes(self) -> int | None:
        """UTF-8 bytes to expect of all sources; None when one of them does not know."""
        sizes = [source.total_bytes() for _, source in self.sides()]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def fraction(self) -> float:
        """The share of the documents of `sources` that is for validation.

        Raises:
            DataError: too little text to divide.
        """
        if self.val_source is not None:
            return 0.0
        documents = (document for source in self.sources for document in documents_of(source))
        return working_fraction((document.text for document in documents), self.val_split)
