"""Documents to token shards, once per corpus, tokenizer and split.

    data/processed/
      manifest.json            what was prepared: key, counts, and the folder that holds it
      shards-<key>/train, val  one folder of token shards a side

The folder of shards is written under a temporary name, synchronised and renamed, and only then
does manifest.json name it: an interruption at any moment leaves the old data or the new.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from create_llm.data.documents import Document
from create_llm.data.encoding import DocumentEncoder
from create_llm.data.shards import PREPARE_FIXES, ShardManifest, ShardWriter, TokenShards
from create_llm.data.source import DataSource, documents_of
from create_llm.data.split import (
    MIN_BYTES,
    MORE_TEXT,
    SPLIT_RULE,
    is_validation,
    too_little,
    utf8_size,
    working_fraction,
)
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import DataError
from create_llm.storage.durable import Storage

MANIFEST = "manifest.json"

# What is encoded at once: enough to keep all cores of a tokenizer busy, little enough to hold.
BATCH_DOCUMENTS = 256
BATCH_BYTES = 1_000_000

Progress = Callable[[str, int, int | None], None]
"""Called with a stage, what is done of it and how much there is (None: unknown), in bytes."""


class SideCounts(BaseModel):
    """How much there is on one side of the split."""

    tokens: int
    documents: int
    bytes: int


class Ingredients(BaseModel):
    """Everything that the prepared tokens depend on; hashes are SHA-256 (hex)."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    source: str
    val_source: str | None
    tokenizer: str
    val_split: float
    split_rule: str


class PreparedManifest(Ingredients):
    """data/processed/manifest.json."""

    key: str
    shards: str = Field(pattern=r"^shards-[0-9a-f]{16}$")
    train: SideCounts
    val: SideCounts


@dataclass(frozen=True)
class PreparedData:
    """Both sides of a prepared corpus; `cached` when nothing had to be done.

    Attributes:
        key: SHA-256 (hex) over everything that the tokens depend on.
        tokenizer: SHA-256 (hex) of the tokenizer that made them.
    """

    folder: Path
    train: TokenShards
    val: TokenShards
    key: str
    tokenizer: str
    cached: bool


def prepare(
    folder: Path,
    source: DataSource,
    tokenizer: Tokenizer,
    *,
    val_split: float,
    progress: Progress | None = None,
    val_source: DataSource | None = None,
) -> PreparedData:
    """Write the token shards of a corpus into `folder`, unless they are there and intact.

    With a `val_source` its documents are the validation side, and nothing is split.

    Raises:
        DataError: too little text, or a source that cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ingredients = _ingredients(source, tokenizer, val_split, val_source)
    key = _key(ingredients)
    current = _intact(folder, key)
    if current is not None:
        return current
    name = f"shards-{key[:16]}"
    storage = Storage()
    with storage.commit(folder / name) as out:
        fraction = _fraction(source, val_split, val_source)
        encoder = _Encoder(out.folder, tokenizer, progress, _total_bytes(source, val_source))
        train, val = encoder.run(_sides(source, fraction, val_source))
    manifest = PreparedManifest(
        **ingredients.model_dump(), key=key, shards=name, train=train, val=val
    )
    storage.replace_file(folder / MANIFEST, manifest.model_dump_json(indent=2).encode())
    _remove_others(folder, keep=name)
    return _open(folder, cached=False)


def open_prepared(folder: Path) -> PreparedData:
    """What `prepare` wrote before.

    Raises:
        DataError: nothing is prepared there, or it is damaged; names the file.
    """
    return _open(folder, cached=True)


def training_texts(
    source: DataSource, *, val_split: float, val_source: DataSource | None = None
) -> Iterator[str]:
    """The texts of the training side alone, for what learns from text before the model does.

    Raises:
        DataError: too little text to divide.
    """
    fraction = _fraction(source, val_split, val_source)
    for document in documents_of(source):
        if not is_validation(document.text, fraction):
            yield document.text


def data_key(
    source: DataSource,
    tokenizer: Tokenizer,
    val_split: float,
    val_source: DataSource | None = None,
) -> str:
    """SHA-256 (hex) over everything that the prepared tokens depend on."""
    return _key(_ingredients(source, tokenizer, val_split, val_source))


def tokenizer_files(tokenizer: Tokenizer) -> dict[str, bytes]:
    """The files that the tokenizer saves, in name order."""
    with TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def tokenizer_sha256(tokenizer: Tokenizer) -> str:
    """SHA-256 (hex) over the names and contents of the files that the tokenizer saves."""
    digest = hashlib.sha256()
    for name, data in tokenizer_files(tokenizer).items():
        digest.update(name.encode() + b"\0")
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()


def _ingredients(
    source: DataSource, tokenizer: Tokenizer, val_split: float, val_source: DataSource | None
) -> Ingredients:
    return Ingredients(
        source=_identified(source),
        val_source=_identified(val_source) if val_source else None,
        tokenizer=tokenizer_sha256(tokenizer),
        val_split=val_split,
        split_rule=SPLIT_RULE,
    )


def _identified(source: DataSource) -> str:
    """Which source, and its text: two sources may read one file in different ways."""
    kind = type(source)
    return f"{kind.__module__}.{kind.__qualname__} {source.fingerprint()}"


def _key(ingredients: Ingredients) -> str:
    return hashlib.sha256(json.dumps(ingredients.model_dump(), sort_keys=True).encode()).hexdigest()


class _Encoder:
    """Encodes documents in batches and appends each to the shards of its side."""

    def __init__(
        self, folder: Path, tokenizer: Tokenizer, progress: Progress | None, total: int | None
    ) -> None:
        self._folder, self._tokenizer = folder, tokenizer
        self._encoder = DocumentEncoder(tokenizer)
        self._progress, self._total = progress, total
        self._done = 0

    def run(self, documents: Iterator[tuple[bool, Document]]) -> tuple[SideCounts, SideCounts]:
        """Write all documents; returns what there is for training and for validation.

        Raises:
            DataError: too little text, or none on one side.
        """
        size, eos = self._tokenizer.vocab_size, self._tokenizer.special.eos
        with (
            ShardWriter(self._folder / "train", size, eos) as train,
            ShardWriter(self._folder / "val", size, eos) as val,
        ):
            for batch in _batches(documents):
                self._write(batch, train, val)
            sides = _counts(train.close()), _counts(val.close())
        if self._done < MIN_BYTES:
            raise too_little(self._done)
        for purpose, side in zip(("training", "validation"), sides, strict=True):
            if side.documents == 0:
                raise DataError(f"the source for {purpose} holds no text", fixes=MORE_TEXT)
        return sides

    def _write(
        self, batch: list[tuple[bool, Document]], train: ShardWriter, val: ShardWriter
    ) -> None:
        encoded = self._encoder.encode([document for _, document in batch])
        for (in_validation, document), made in zip(batch, encoded, strict=True):
            (val if in_validation else train).add(made.ids, made.counted, made.bytes)
            self._done += utf8_size(document.text)
        if self._progress is not None:
            self._progress("encoding the text", self._done, self._total)


def _counts(manifest: ShardManifest) -> SideCounts:
    return SideCounts.model_validate(manifest, from_attributes=True)


def _sides(
    source: DataSource, fraction: float, val_source: DataSource | None
) -> Iterator[tuple[bool, Document]]:
    """Each document with whether it is for validation."""
    for document in documents_of(source):
        yield is_validation(document.text, fraction), document
    if val_source is not None:
        for document in documents_of(val_source):
            yield True, document


def _fraction(source: DataSource, val_split: float, val_source: DataSource | None) -> float:
    if val_source is not None:
        return 0.0
    return working_fraction((document.text for document in documents_of(source)), val_split)


def _total_bytes(source: DataSource, val_source: DataSource | None) -> int | None:
    sizes = [each.total_bytes() for each in (source, val_source) if each is not None]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _batches(
    sides: Iterator[tuple[bool, Document]],
) -> Iterator[list[tuple[bool, Document]]]:
    batch: list[tuple[bool, Document]] = []
    size = 0
    for side in sides:
        batch.append(side)
        size += len(side[1].text)
        if len(batch) >= BATCH_DOCUMENTS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _intact(folder: Path, key: str) -> PreparedData | None:
    """What is prepared under this key, every byte of it checked; leftovers are removed."""
    try:
        manifest = _read_manifest(folder)
        _remove_others(folder, keep=manifest.shards)
        if manifest.key != key:
            return None
        prepared = _open(folder, cached=True)
        prepared.train.verify()
        prepared.val.verify()
    except DataError:  # nothing there yet, or damaged: writing it again is what would be advised
        return None
    return prepared


def _open(folder: Path, *, cached: bool) -> PreparedData:
    manifest = _read_manifest(folder)
    shards = folder / manifest.shards
    train, val = TokenShards.open(shards / "train"), TokenShards.open(shards / "val")
    return PreparedData(folder, train, val, manifest.key, manifest.tokenizer, cached)


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


def _remove_others(folder: Path, *, keep: str) -> None:
    """Remove earlier shards but the newest, and what an interrupted writer left.

    The newest of them may be what a live run is reading.
    """
    storage = Storage()
    storage.heal(folder)
    earlier = [path for path in folder.glob("shards-*") if path.name != keep]
    earlier.sort(key=lambda path: path.stat().st_mtime_ns)
    for path in earlier[:-1]:
        storage.remove(path)
