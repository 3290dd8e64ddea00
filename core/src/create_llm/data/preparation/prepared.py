"""A prepared corpus on the disk: the manifest over its parts, and what is read through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from create_llm.data.documents import Rejected
from create_llm.data.preparation.ingredients import Ingredients, key_of
from create_llm.data.preparation.parts import REJECTIONS_KEPT, PreparedPart, RejectedRow, open_part
from create_llm.data.preparation.shard_files import PREPARE_FIXES, damaged
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
        earlier: those of what was prepared before, which a live run may be reading.
        rejected: rows that no document could be made of; `rejections` are the first few.
        duplicates: documents left out because an equal one came before.
    """

    key: str
    parts: tuple[_FolderName, ...] = Field(min_length=1)
    earlier: tuple[_FolderName, ...] = ()
    train: SideCounts
    val: SideCounts
    rejected: int
    rejections: tuple[RejectedRow, ...]
    duplicates: int


@dataclass(frozen=True)
class PreparedData:
    """Both sides of a prepared corpus; `cached` when nothing had to be done.

    Attributes:
        key: SHA-256 (hex) over everything that the tokens depend on.
        tokenizer: SHA-256 (hex) of the tokenizer that made them.
        rejected: how many rows of the source no document could be made of.
        rejections: the first few of them.
        duplicates: how many documents were left out because an equal one came before.
    """

    folder: Path
    train: TokenShards
    val: TokenShards
    key: str
    tokenizer: str
    cached: bool
    rejected: int = 0
    rejections: tuple[Rejected, ...] = ()
    duplicates: int = 0


def open_prepared(folder: Path, *, cached: bool = True) -> PreparedData:
    """What `prepare` wrote.

    Raises:
        DataError: nothing is prepared there, or it is damaged; names the file.
    """
    manifest = _read_manifest(folder)
    parts = [open_part(folder / name) for name in manifest.parts]
    train = TokenShards([part.train for part in parts])
    val = TokenShards([part.val for part in parts])
    if (_counts(train), _counts(val)) != (manifest.train, manifest.val):
        raise damaged(folder / MANIFEST, "contradicts what it names")
    return PreparedData(
        folder,
        train,
        val,
        manifest.key,
        manifest.tokenizer,
        cached,
        manifest.rejected,
        tuple(row.rejected() for row in manifest.rejections),
        manifest.duplicates,
    )


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
    folder: Path, ingredients: Ingredients, names: Sequence[str], parts: Sequence[PreparedPart]
) -> None:
    records = [part.record for part in parts]
    rejections = chain.from_iterable(record.rejections for record in records)
    manifest = PreparedManifest(
        **ingredients.model_dump(),
        key=key_of(ingredients),
        parts=tuple(names),
        earlier=tuple(sorted(_named_before(folder).difference(names))),
        train=_counts(TokenShards([part.train for part in parts])),
        val=_counts(TokenShards([part.val for part in parts])),
        rejected=sum(record.rejected for record in records),
        rejections=tuple(islice(rejections, REJECTIONS_KEPT)),
        duplicates=sum(record.duplicates for record in records),
    )
    Storage().replace_file(folder / MANIFEST, manifest.model_dump_json(indent=2).encode())


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
        return PreparedManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            "the data has not been prepared yet", where=str(path), fixes=("llm data prepare",)
        ) from error
    except ValidationError as error:
        raise DataError(
            "the prepared data is damaged: manifest.json cannot be used",
            where=str(path),
            fixes=PREPARE_FIXES,
        ) from error


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
