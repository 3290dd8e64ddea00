"""The sources that a project's data comes from, and the side of the split each is for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Literal

from create_llm.data.mixture import Mixture
from create_llm.data.source import DataSource, documents_of, identity_of, validation_source
from create_llm.data.split import working_fraction
from create_llm.errors import DataError


@dataclass(frozen=True, slots=True)
class Side:
    """A source, and what its documents are for.

    Attributes:
        use: "split": for both sides, as the hash of each document says.
        mixed: its name in a mixture; None where there is none.
    """

    source: DataSource
    use: Literal["train", "val", "split"]
    mixed: str | None = None

    def fraction(self, split: float) -> float:
        """The share of its documents that is for validation.

        Args:
            split: `split_fraction` of all sides.
        """
        return {"train": 0.0, "val": 1.0, "split": split}[self.use]

    def named(self, what: str) -> str:
        """A message about this source, with its name in front if it has one."""
        return what if self.mixed is None else f"data.mix.{self.mixed}: {what}"


def sides_of(source: DataSource, val_source: DataSource | None) -> Iterator[Side]:
    """What is read one after the other: the source, then that of its validation.

    A mixture is taken apart: each of its sources is followed by its validation, if it has one.

    Args:
        val_source: `validation_source` of it.
    """
    apart = val_source.members if isinstance(val_source, Mixture) else {}
    if isinstance(source, Mixture):
        for name, member in source.members.items():
            yield Side(member, "train" if name in apart else "split", name)
            if name in apart:
                yield Side(apart[name], "val", name)
        return
    yield Side(source, "split" if val_source is None else "train")
    if val_source is not None:
        yield Side(val_source, "val")


@dataclass(frozen=True)
class Corpus:
    """What is read together.

    Attributes:
        val_split: the share of the documents that is kept back, where no source has a
            `validation_source`.
        deduplicate: whether preparation keeps only the first of equal documents.
    """

    sources: tuple[DataSource, ...]
    val_split: float
    deduplicate: bool = False

    def sides(self) -> Iterator[Side]:
        """Each source and what it is for.

        Of several, those without a validation are trained on whole where another has one. A
        validation that several have is there once.

        Raises:
            ConfigError: one is to be validated on what it is trained on.
        """
        for source, val_source in zip(self.sources, self._val_sources, strict=True):
            for side in sides_of(source, val_source):
                if side.source in self._repeated:
                    continue
                whole = (
                    side.use == "split"
                    and side.mixed is None
                    and any(each is not None for each in self._val_sources)
                )
                yield replace(side, use="train") if whole else side

    @cached_property
    def _val_sources(self) -> tuple[DataSource | None, ...]:
        return tuple(map(validation_source, self.sources))

    @cached_property
    def _repeated(self) -> list[DataSource]:
        """The validations that an earlier source has too."""
        found = [each for each in self._val_sources if each is not None]
        if len(found) < 2:
            return []
        identities = [_identity(each) for each in found]
        return [each for i, each in enumerate(found) if identities[i] in identities[:i]]

    def total_bytes(self) -> int | None:
        """UTF-8 bytes to expect of all sources; None when one of them does not know."""
        sizes = [side.source.total_bytes() for side in self.sides()]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def fraction(self) -> float:
        """The share for validation of the documents that are split.

        Raises:
            DataError: too little text to divide.
        """
        return split_fraction(self.sides(), self.val_split)


def split_fraction(sides: Iterable[Side], val_split: float) -> float:
    """The share for validation of all documents that are split, so that neither side is empty.

    One for all sources of a mixture: of equal documents none is on the other side, whichever
    source it stands in.

    Raises:
        DataError: too little text to divide.
    """
    split = [side for side in sides if side.use == "split"]
    if not split:
        return 0.0
    documents = chain.from_iterable(documents_of(side.source) for side in split)
    return working_fraction((document.text for document in documents), val_split)


def _identity(source: DataSource) -> object:
    try:
        return identity_of(source)
    except DataError:  # reading it says what is wrong with it
        return source
