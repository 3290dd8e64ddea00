"""A part of a corpus: what it is prepared from, and how its folder of shards is written.

    shards-<key>/train, val  one folder of token shards a side; one of them may be empty
    shards-<key>/part.json   what was counted while it was written
    shards-<key>/manifest.json

A part depends on nothing but what its key is made of: whoever writes it, whenever and beside
whatever else, writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.data.chat.template import ChatTemplate
from create_llm.data.documents import Document, Origin, Rejected
from create_llm.data.encoding import DocumentEncoder, EncodedDocument, is_conversation
from create_llm.data.preparation.shard_files import MANIFEST, PREPARE_FIXES, ShardManifest, damaged
from create_llm.data.preparation.shard_writer import ShardWriter
from create_llm.data.shards import ShardFolder
from create_llm.data.source import DataSource, Divided, SourcePart, documents_of
from create_llm.data.split import is_validation, utf8_size
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import DataError
from create_llm.storage.durable import Storage
from create_llm.storage.manifest import verify

RECORD = "part.json"
REJECTIONS_KEPT = 5

# What is encoded at once: enough to keep all cores of a tokenizer busy, little enough to hold.
_BATCH_DOCUMENTS = 256
_BATCH_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class PartTask:
    """A part to prepare.

    Attributes:
        part: of the source; None: all of a source that is not divided.
        fingerprint: of the part when it was decided to prepare it.
        fraction: of its documents, what is for validation; 0 and 1 leave one side empty.
        dropped: its documents that are left out, by their number from 0.
        key: SHA-256 (hex) over everything that its tokens depend on.
        template: how conversations are written out.
        mixed: the name of the source in a mixture; None where there is none.
    """

    source: DataSource
    part: SourcePart | None
    fingerprint: str
    fraction: float
    dropped: frozenset[int]
    key: str
    template: ChatTemplate | None = None
    mixed: str | None = None

    @property
    def name(self) -> str:
        """What people see where something is wrong with it."""
        return self.part.name if self.part else "the text"

    @property
    def folder(self) -> str:
        return folder_name(self.key)


def folder_name(key: str) -> str:
    """Of the folder of the part with this key."""
    return f"shards-{key[:16]}"


class RejectedRow(BaseModel):
    """A `Rejected` as manifests hold it."""

    model_config = ConfigDict(frozen=True)

    path: str
    line: int
    problem: str
    suggestion: str

    @classmethod
    def of(cls, rejected: Rejected) -> RejectedRow:
        origin = rejected.origin
        return cls(
            path=origin.path,
            line=origin.line,
            problem=rejected.problem,
            suggestion=rejected.suggestion,
        )

    def rejected(self) -> Rejected:
        return Rejected(Origin(self.path, self.line), self.problem, self.suggestion)


class PartRecord(BaseModel):
    """part.json.

    Attributes:
        train: manifest.json of that side, so that another one there is noticed; `val` likewise.
        text_bytes: UTF-8 bytes of all its text, with what carries no loss.
        duplicates: documents left out because an equal one came before.
        rejected: rows that no document could be made of.
        rejections: the first few of them.
        conversations: of the documents to train on, those that a chat template wrote out; left
            out where there are none.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    train: ShardManifest
    val: ShardManifest
    text_bytes: int
    duplicates: int
    rejected: int
    rejections: tuple[RejectedRow, ...]
    conversations: int = 0


@dataclass(frozen=True, slots=True)
class PreparedPart:
    """A part on the disk, open."""

    record: PartRecord
    train: ShardFolder
    val: ShardFolder

    def verify(self) -> None:
        """Hash every file.

        Raises:
            DataError: names the first file that is missing or differs.
        """
        self.train.verify()
        self.val.verify()


def part_documents(
    source: DataSource,
    part: SourcePart | None,
    rejected: Callable[[Rejected], None] | None = None,
) -> Iterator[Document]:
    """The documents of a part, or of the whole source.

    Raises:
        DataError: as the source does.
    """
    return documents_of(source if part is None else _PartSource(source, part), rejected)


def write_part(
    folder: Path, task: PartTask, tokenizer: Tokenizer, progress: Callable[[int], None]
) -> None:
    """Write the shards of a part into a new folder of `folder`, all or nothing.

    Args:
        progress: hears of each batch, how many bytes of text it held.

    Raises:
        DataError: as the source does.
    """
    with Storage().commit(folder / task.folder) as out:
        writing = _Writing(tokenizer, task, progress)
        record = writing.run(out.folder)
        none = None if record.conversations else {"conversations"}
        out.write_json(RECORD, record.model_dump(exclude=none))


def open_part(folder: Path, key: str | None = None) -> PreparedPart:
    """Open the folder of a part, checking that each file is there and as long as it should be.

    Args:
        key: which part it has to be; None: whichever it is.

    Raises:
        DataError: names the file that is missing or damaged.
    """
    record = _read_record(folder)
    if key not in (None, record.key) or folder.name != folder_name(record.key):
        raise damaged(folder / RECORD, "is that of another part")
    return PreparedPart(
        record, _open_side(folder / "train", record.train), _open_side(folder / "val", record.val)
    )


def _read_record(folder: Path) -> PartRecord:
    path = folder / RECORD
    try:
        verify(folder)
        return PartRecord.model_validate_json(path.read_bytes())
    except DataError as error:
        raise DataError(error.what, where=error.where, fixes=PREPARE_FIXES) from error
    except (FileNotFoundError, ValidationError) as error:
        raise damaged(path, "cannot be used") from error


def _open_side(folder: Path, written: ShardManifest) -> ShardFolder:
    opened = ShardFolder.open(folder)
    if opened.manifest != written:
        raise damaged(folder / MANIFEST, "is not what was written")
    return opened


def part_key(
    kind: str, source_part: str, tokenizer: str, rule: str, fraction: float, dropped: frozenset[int]
) -> str:
    """SHA-256 (hex) over everything that the tokens of a part depend on.

    Args:
        kind: of the source, which decides how its text is read.
        source_part: the fingerprint of the part.
        tokenizer: the hash of the tokenizer.
    """
    left_out = hashlib.sha256(json.dumps(sorted(dropped)).encode()).hexdigest()
    ingredients = [kind, source_part, tokenizer, rule, fraction, left_out if dropped else None]
    return hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()


class _PartSource:
    """A part as a source of its own."""

    def __init__(self, source: DataSource, part: SourcePart) -> None:
        assert isinstance(source, Divided)
        self._source, self._part = source, part

    def documents(self) -> Iterator[Document | Rejected]:
        return self._source.documents_in(self._part)

    def fingerprint(self) -> str:
        return self._part.fingerprint

    def total_bytes(self) -> None:
        return None


class _Writing:
    """Encodes the documents of a part in batches and appends each to the shards of its side."""

    def __init__(
        self, tokenizer: Tokenizer, task: PartTask, progress: Callable[[int], None]
    ) -> None:
        self._tokenizer, self._task, self._progress = tokenizer, task, progress
        self._encoder = DocumentEncoder(tokenizer, task.template)
        self._text_bytes = self._rejected = self._conversations = 0
        self._rejections: list[RejectedRow] = []

    def run(self, folder: Path) -> PartRecord:
        size, eos = self._tokenizer.vocab_size, self._tokenizer.special.eos
        with (
            ShardWriter(folder / "train", size, eos) as train,
            ShardWriter(folder / "val", size, eos) as val,
        ):
            for batch, encoded in self._encoded():
                self._write(batch, encoded, train, val)
            return PartRecord(
                key=self._task.key,
                train=train.close(),
                val=val.close(),
                text_bytes=self._text_bytes,
                duplicates=len(self._task.dropped),
                rejected=self._rejected,
                rejections=tuple(self._rejections),
                conversations=self._conversations,
            )

    def _encoded(self) -> Iterator[tuple[list[Document], list[EncodedDocument]]]:
        """Batches with their tokens, one ahead: tokenizers let Python read and write meanwhile."""
        background = ThreadPoolExecutor(1)
        try:
            ahead: tuple[list[Document], Future[list[EncodedDocument]]] | None = None
            for batch in _batches(self._documents()):
                before, ahead = ahead, (batch, background.submit(self._encoder.encode, batch))
                if before is not None:
                    yield before[0], before[1].result()
            if ahead is not None:
                yield ahead[0], ahead[1].result()
        finally:
            background.shutdown(cancel_futures=True)

    def _documents(self) -> Iterator[Document]:
        task = self._task
        documents = part_documents(task.source, task.part, self._hear)
        return (each for number, each in enumerate(documents) if number not in task.dropped)

    def _hear(self, rejected: Rejected) -> None:
        self._rejected += 1
        if self._rejected <= REJECTIONS_KEPT:
            self._rejections.append(RejectedRow.of(rejected))

    def _write(
        self,
        batch: list[Document],
        encoded: list[EncodedDocument],
        train: ShardWriter,
        val: ShardWriter,
    ) -> None:
        size = 0
        for document, made in zip(batch, encoded, strict=True):
            side = val if is_validation(document.text, self._task.fraction) else train
            side.add(made.ids, made.counted, made.bytes)
            self._conversations += side is train and is_conversation(document)
            size += utf8_size(document.text)
        self._text_bytes += size
        self._progress(size)


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if len(batch) >= _BATCH_DOCUMENTS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
