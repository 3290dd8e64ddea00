"""A prepared corpus on the disk: the manifest over its parts, and what is read through it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from create_llm.data.documents import Rejected
from create_llm.data.preparation.ingredients import Ingredients, division_key, key_of
from create_llm.data.preparation.parts import (
    REJECTIONS_KEPT,
    PartTask,
    PreparedPart,
    RejectedRow,
    open_part,
)
from create_llm.data.preparation.shard_files import damaged
from create_llm.data.shards import TokenShards
from create_llm.errors import DataError
from create_llm.storage.durable import Storage

MANIFEST = "manifest.json"

_FolderName = Annotated[str, Field(pattern=r"^shards-[0-9a-f]{16}$")]


class SideCounts(BaseModel):
    """How much there is on one side of the split."""

    tokens: int
    documents: int
    bytes: int


class PreparedManifest(Ingredients):
    """data/processed/manifest.json.

    Attributes:
        parts: their folders, in the order of the text.
        mixed: which source of a mixture each of them is of; left out where there is no mixture.
        earlier: those of what was prepared before, which a live run may be reading.
        rejected: rows that no document could be made of; `rejections` are the first few.
        duplicates: documents left out because an equal one came before.
        sha256: over all of the above, as written; None in manifests from before there was one.
            Parts in another order would be other data under the same key.
    """

    key: str
    parts: tuple[_FolderName, ...] = Field(min_length=1)
    mixed: tuple[str, ...] = ()
    earlier: tuple[_FolderName, ...] = ()
    train: SideCounts
    val: SideCounts
    rejected: int
    rejections: tuple[RejectedRow, ...]
    duplicates: int
    sha256: str | None = None

    @model_validator(mode="after")
    def _a_name_for_each_part(self) -> Self:
        if self.mixed and len(self.mixed) != len(self.parts):
            raise ValueError(f"{len(self.parts)} parts of {len(self.mixed)} sources")
        return self


@dataclass(frozen=True, slots=True)
class Streams:
    """Both sides of one source of a mixture."""

    train: TokenShards
    val: TokenShards


@dataclass(frozen=True)
class PreparedData:
    """Both sides of a prepared corpus; `cached` when nothing had to be done.

    Attributes:
        train, val: of all that there is.
        key: SHA-256 (hex) over everything that the tokens depend on.
        division: SHA-256 (hex) over what decides which documents are for validation.
        tokenizer: SHA-256 (hex) of the tokenizer that made them.
        rejected: how many rows of the source no document could be made of.
        rejections: the first few of them.
        duplicates: how many documents were left out because an equal one came before.
        conversations: how many documents to train on a chat template wrote out.
        mixed: the same by the sources of a mixture; empty where there is none.
    """

    folder: Path
    train: TokenShards
    val: TokenShards
    key: str
    division: str
    tokenizer: str
    cached: bool
    rejected: int = 0
    rejections: tuple[Rejected, ...] = ()
    duplicates: int = 0
    mixed: Mapping[str, Streams] = field(default_factory=dict)
    conversations: int = 0

    @property
    def train_streams(self) -> tuple[TokenShards, ...]:
        """What windows are cut from, each by itself: a stream for each source of a mixture."""
        return tuple(each.train for each in self.mixed.values()) or (self.train,)

    @property
    def val_streams(self) -> tuple[TokenShards, ...]:
        return tuple(each.val for each in self.mixed.values()) or (self.val,)


def open_prepared(folder: Path, *, cached: bool = True) -> PreparedData:
    """What `prepare` wrote.

    Raises:
        DataError: nothing is prepared there, or it is damaged; names the file.
    """
    manifest = _read_manifest(folder)
    parts = [open_part(folder / name) for name in manifest.parts]
    train, val = _joined(parts)
    if (_counts(train), _counts(val)) != (manifest.train, manifest.val):
        raise damaged(folder / MANIFEST, "contradicts what it names")
    return PreparedData(
        folder,
        train,
        val,
        manifest.key,
        division_key(manifest.source, manifest.val_source, manifest.val_split),
        manifest.tokenizer,
        cached,
        manifest.rejected,
        tuple(row.rejected() for row in manifest.rejections),
        manifest.duplicates,
        _by_source(manifest, parts),
        sum(part.record.conversations for part in parts),
    )


def _joined(parts: Sequence[PreparedPart]) -> tuple[TokenShards, TokenShards]:
    train, val = ([part.train for part in parts], [part.val for part in parts])
    return TokenShards(train), TokenShards(val)


def _by_source(manifest: PreparedManifest, parts: Sequence[PreparedPart]) -> dict[str, Streams]:
    grouped: dict[str, list[PreparedPart]] = {}
    for name, part in zip(manifest.mixed, parts, strict=False):
        grouped.setdefault(name, []).append(part)
    return {name: Streams(*_joined(its)) for name, its in grouped.items()}


def intact_data(folder: Path, key: str) -> PreparedData | None:
    """What is prepared under this key, every byte of it checked; leftovers are removed."""
    try:
        if _read_manifest(folder).key != key:
            return None
        prepared = open_prepared(folder)
        prepared.train.verify()
        prepared.val.verify()
    except DataError:  # nothing there yet, or damaged: writing it again is what would be advised
        return None
    remove_others(folder)
    return prepared


def write_manifest(
    folder: Path, ingredients: Ingredients, tasks: Sequence[PartTask], parts: Sequence[PreparedPart]
) -> None:
    """Name the parts as what is prepared now; `parts` are those of `tasks`."""
    train, val = _joined(parts)
    names = tuple(task.folder for task in tasks)
    mixed = tuple(task.mixed for task in tasks if task.mixed is not None)
    records = [part.record for part in parts]
    rejections = chain.from_iterable(record.rejections for record in records)
    manifest = PreparedManifest(
        **ingredients.model_dump(),
        key=key_of(ingredients),
        parts=names,
        mixed=mixed,
        earlier=tuple(sorted(_named_before(folder).difference(names))),
        train=_counts(train),
        val=_counts(val),
        rejected=sum(record.rejected for record in records),
        rejections=tuple(islice(rejections, REJECTIONS_KEPT)),
        duplicates=sum(record.duplicates for record in records),
    )
    left_out = {"sha256"} if mixed else {"sha256", "mixed"}
    values = manifest.model_dump(mode="json", exclude=left_out)
    text = json.dumps({**values, "sha256": _hash(values)}, indent=2)
    Storage().replace_file(folder / MANIFEST, text.encode())


def _named_before(folder: Path) -> set[str]:
    try:
        return set(_read_manifest(folder).parts)
    except DataError:  # nothing there yet, or damaged: then nobody can read what it named
        return set()


def _counts(shards: TokenShards) -> SideCounts:
    return SideCounts.model_validate(shards, from_attributes=True)


def _read_manifest(folder: Path) -> PreparedManifest:
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_bytes())
        manifest = PreparedManifest.model_validate(values)
    except FileNotFoundError as error:
        raise DataError(
            "the data has not been prepared yet", where=str(path), fixes=("llm data prepare",)
        ) from error
    except (ValueError, RecursionError) as error:  # not JSON, or not that of a manifest
        raise damaged(path, "cannot be used") from error
    values.pop("sha256", None)
    if manifest.sha256 not in (None, _hash(values)):
        raise damaged(path, "has been changed")
    return manifest


def _hash(values: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def remove_others(folder: Path) -> None:
    """Remove parts that the manifest names neither now nor as the earlier ones, and what an
    interrupted writer left."""
    storage = Storage()
    storage.heal(folder)
    manifest = _read_manifest(folder)
    named = {*manifest.parts, *manifest.earlier}
    for path in folder.glob("shards-*"):
        if path.name not in named:
            storage.remove(path)
