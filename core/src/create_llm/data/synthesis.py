"""Synthetic documents as a text file in data/raw."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from create_llm.data.documents import Document


def write_documents(raw: Path, provider: str, documents: Iterable[Document]) -> dict[str, object]:
    """Write documents, a blank line apart, to a new file; it appears when it is whole.

    Returns:
        `path`, and how many `documents`, `words` and UTF-8 `bytes` it holds.
    """
    raw.mkdir(parents=True, exist_ok=True)
    path = _free_name(raw, provider)
    temporary = raw / f".{path.name}-{os.getpid()}"
    count = words = size = 0
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            for document in documents:
                text = document.text.strip() + "\n\n"
                file.write(text)
                count, words = count + 1, words + len(text.split())
                size += len(text.encode())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return {"path": str(path), "documents": count, "words": words, "bytes": size}


def _free_name(raw: Path, provider: str) -> Path:
    number = 1
    while (path := raw / f"synthetic-{provider}-{number:03d}.txt").exists():
        number += 1
    return path
