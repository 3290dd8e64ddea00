"""What identifies the text of files: hashes of their content, taken once while it stays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from create_llm_text.files import DataFile
from create_llm_text.parquet_rows import is_readable
from create_llm_text.reader import Reading

_FORMAT = 3  # of what files become; another one makes other documents

_known: dict[bytes, str] = {}


def fingerprint_of(files: tuple[DataFile, ...], reading: Reading) -> str:
    """SHA-256 over names, contents and what decides how they are read.

    It is remembered until one of the files changes.
    """
    options = _options(files, reading)
    if any(file.stamp is None for file in files):
        return _computed(files, options)
    key = _key(files, options)
    if key not in _known:
        _known[key] = _computed(files, options)
    return _known[key]


def _options(files: Iterable[DataFile], reading: Reading) -> str:
    columns = reading.columns.named() if reading.columns else None
    options: list[object] = ["text", _FORMAT, reading.separator, columns]
    if any(file.is_text for file in files):
        options.append(reading.block)
    if any(file.format == "parquet" for file in files):
        options.append(is_readable())
    return json.dumps(options, sort_keys=True)


def _computed(files: Iterable[DataFile], options: str) -> str:
    digest = hashlib.sha256(options.encode())
    for file in files:
        # The name is relative to the data: a corpus is the same one wherever it lies.
        digest.update(json.dumps([file.name, _sha256(file.path)]).encode())
    return digest.hexdigest()


def _key(files: Iterable[DataFile], options: str) -> bytes:
    """32 bytes for files as they are now: one entry a group, whatever the number of files."""
    digest = hashlib.sha256(options.encode())
    for file in files:
        digest.update(json.dumps([file.base, file.name, file.size, file.stamp]).encode())
    return digest.digest()


def _sha256(path: Path) -> str | None:
    """Of a file's content; None for one that cannot be read, which is rejected."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
