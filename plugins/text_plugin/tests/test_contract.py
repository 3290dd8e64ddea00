"""The contract of data sources, for `text`, with and without a separator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from create_llm.testing import DataSourceContract


def write_lines(root: Path, size: int, separator: str) -> None:
    """Two files of numbered lines, in all about `size` bytes."""
    folder = root / "data" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a.txt", "b.md"):
        lines = [f"{name}, line {number}: " + "naïve words " * 8 for number in range(size // 240)]
        (folder / name).write_text(separator.join(lines), encoding="utf-8")


class TestText(DataSourceContract):
    name = "text"

    def corpus(self, root: Path, size: int) -> Mapping[str, object]:
        write_lines(root, size, "\n")
        return {}


class TestTextWithSeparator(DataSourceContract):
    name = "text"
    options: ClassVar = {"separator": "<|endoftext|>"}

    def corpus(self, root: Path, size: int) -> Mapping[str, object]:
        write_lines(root, size, "\n<|endoftext|>\n")
        return {}


def write_rows(root: Path, size: int) -> None:
    """A file of JSON lines and a table, in all about `size` bytes."""
    folder = root / "data" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    texts = [f"row {number}: " + "naïve words " * 8 for number in range(size // 240)]
    rows = [f'{{"id": {number}, "text": "{text}"}}' for number, text in enumerate(texts)]
    (folder / "a.jsonl").write_text("\n".join(rows), encoding="utf-8")
    table = ["id,text", *(f'{number},"{text}"' for number, text in enumerate(texts))]
    (folder / "b.csv").write_text("\n".join(table), encoding="utf-8")


class TestRows(DataSourceContract):
    name = "text"

    def corpus(self, root: Path, size: int) -> Mapping[str, object]:
        write_rows(root, size)
        return {}
