"""What a folder of token shards consists of.

    tokens-00000.bin …    ids, little-endian uint16 (vocabularies up to 65536) or uint32
    counted-00000.bin …   uint8 beside each, only if some text carries no loss
    documents.bin         uint64: where each document starts in the stream
    manifest.json         format, counts, and each file's size and SHA-256

The files follow each other as one stream: EOS, document 1, EOS, document 2, EOS … It begins with
EOS so that each token of a text is predicted once, the first one included. A document's EOS
counts in the loss when the document's last token does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from create_llm.errors import DataError
from create_llm.storage import manifest as manifests

MANIFEST = manifests.MANIFEST
DOCUMENTS = "documents.bin"
FILE_TOKENS = 2**27
PREPARE_FIXES = ("write it again: llm data prepare",)

TOKEN_DTYPES: dict[str, np.dtype[np.uint16] | np.dtype[np.uint32]] = {
    "uint16": np.dtype("<u2"),
    "uint32": np.dtype("<u4"),
}
DOCUMENT_DTYPE: np.dtype[np.uint64] = np.dtype("<u8")


class FileEntry(BaseModel):
    """One file as the manifest records it."""

    size: int = Field(ge=0)
    sha256: str


class ShardManifest(BaseModel):
    """manifest.json of a folder of shards; `manifest.verify` reads its `format` and `files`.

    `bytes` are the UTF-8 bytes of the text that counts in the loss: what bits per byte divide by.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    dtype: Literal["uint16", "uint32"]
    tokens: int = Field(ge=0)
    documents: int = Field(ge=0)
    bytes: int = Field(ge=0)
    eos: int = Field(ge=0)
    file_tokens: int = Field(ge=1)
    counted: bool
    files: dict[str, FileEntry]


def file_name(stem: str, number: int) -> str:
    return f"{stem}-{number:05d}.bin"


def expected_sizes(manifest: ShardManifest, path: Path) -> Iterator[tuple[str, int]]:
    """Every file the counts imply, with its size in bytes; the records must say the same."""
    sizes = {DOCUMENTS: manifest.documents * DOCUMENT_DTYPE.itemsize}
    columns = {"tokens": TOKEN_DTYPES[manifest.dtype].itemsize}
    if manifest.counted:
        columns["counted"] = 1
    for stem, width in columns.items():
        for number, start in enumerate(range(0, manifest.tokens, manifest.file_tokens)):
            length = min(manifest.file_tokens, manifest.tokens - start)
            sizes[file_name(stem, number)] = length * width
    if sizes != {name: entry.size for name, entry in manifest.files.items()}:
        raise damaged(path, "contradicts itself")
    yield from sizes.items()


def damaged(path: Path, how: str) -> DataError:
    return DataError(
        f"the prepared data is damaged: {path.name} {how}", where=str(path), fixes=PREPARE_FIXES
    )
