"""Several named sources that are trained on together."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping

from create_llm.data.documents import Document, Rejected
from create_llm.data.source import (
    DataSource,
    files_of,
    identity_of,
    skipped_files,
    validation_source,
)
from create_llm.errors import ConfigError, DataError


class Mixture:
    """Named sources as one: their documents one source after another, in the order of the names.

    What share of the training each has is said elsewhere: it changes no token.
    """

    def __init__(self, members: Mapping[str, DataSource]) -> None:
        self.members = dict(sorted(members.items()))

    @property
    def skipped(self) -> list[str]:
        """What each of them passed over."""
        return [entry for member in self.members.values() for entry in skipped_files(member)]

    def documents(self) -> Iterator[Document | Rejected]:
        for member in self.members.values():
            yield from member.documents()

    def fingerprint(self) -> str:
        """As `DataSource`: over names, sources and which of them are to be split."""
        apart = self._apart()
        told = [[name, identity_of(each), name in apart] for name, each in self.members.items()]
        return hashlib.sha256(json.dumps(["mixture", 1, told]).encode()).hexdigest()

    def total_bytes(self) -> int | None:
        sizes = [member.total_bytes() for member in self.members.values()]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def validation(self) -> Mixture | None:
        """Of those that have a validation source of their own; the others are split.

        Raises:
            ConfigError: one is trained on what another keeps for validation.
        """
        apart = self._apart()
        _refuse_training_on_validation(self.members, apart)
        return Mixture(apart) if apart else None

    def _apart(self) -> dict[str, DataSource]:
        found = {name: validation_source(member) for name, member in self.members.items()}
        return {name: source for name, source in found.items() if source is not None}


def _refuse_training_on_validation(
    members: Mapping[str, DataSource], apart: Mapping[str, DataSource]
) -> None:
    kept = {file: name for name, source in apart.items() for file in _files_of(source)}
    if not kept:
        return
    for name, member in members.items():
        file = next((file for file in _files_of(member) if file in kept), None)
        if file is not None:
            raise ConfigError(
                f"data.mix.{name} trains on a file that data.mix.{kept[file]} keeps for "
                "validation: the score would say nothing",
                where=file,
                fixes=(
                    f"keep it out of both: set data.mix.{name}.val_path to it, too",
                    f"or let data.mix.{name} read another file or folder",
                ),
            )


def _files_of(source: DataSource) -> Iterator[str]:
    # One that cannot be read is told of where it is read.
    with contextlib.suppress(DataError):
        yield from files_of(source)
