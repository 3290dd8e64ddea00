"""Rows of .parquet files, read with pyarrow, which the extra `parquet` brings."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

from create_llm_text.compression import reading_failed
from create_llm_text.rows import LARGEST_ROW, Row, RowError, Rows, Unreadable, too_long

# Few rows at once: what is held beside them is the reader's page of each column.
_BATCH = 64


class _Batch(Protocol):
    num_rows: int

    def slice(self, offset: int, length: int) -> _Batch: ...
    def to_pylist(self) -> list[dict[str, object]]: ...


class _Parquet(Protocol):
    def iter_batches(self, batch_size: int) -> Iterator[_Batch]: ...
    def close(self) -> None: ...


def is_readable() -> bool:
    """Whether what reads Parquet files is installed."""
    return find_spec("pyarrow") is not None


def read_parquet(path: Path) -> Rows:
    """The rows; their "line" is their number, from 1.

    Raises:
        Unreadable: pyarrow is not installed, or the file is no Parquet file or damaged.
        DataError: `reading_failed`.
    """
    if not is_readable():
        raise Unreadable(
            "Parquet files need pyarrow, which is not installed",
            "pip install 'create-llm-text[parquet]'",
        )
    damaged: type[Exception] = importlib.import_module("pyarrow").ArrowException
    number, opened = 1, False
    try:
        file = cast(_Parquet, importlib.import_module("pyarrow.parquet").ParquetFile(path))
        opened = True
        try:
            for batch in file.iter_batches(_BATCH):
                for place in range(batch.num_rows):
                    yield from _row(batch.slice(place, 1), number, damaged)
                    number += 1
        finally:
            file.close()
    except (damaged, OSError, UnicodeDecodeError) as error:
        # An OSError without a number is pyarrow's word for data that is damaged.
        if opened and isinstance(error, OSError) and error.errno is not None:
            raise reading_failed(path, error) from error
        raise Unreadable(
            f"the Parquet file is damaged or cannot be read: {error}",
            "download or copy the file again",
        ) from error


def _row(batch: _Batch, number: int, damaged: type[Exception]) -> Rows:
    try:
        (value,) = batch.to_pylist()
        size = _size(value)
        if size > LARGEST_ROW:
            raise too_long()
        yield Row(number, size, value)
    except RowError as error:
        yield error.at(number)
    except (UnicodeDecodeError, damaged) as error:
        yield RowError(f"a value cannot be read: {error}", "write the row anew").at(number)


def _size(value: object) -> int:
    """The characters in a row: what it takes, near enough."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list) else 8
