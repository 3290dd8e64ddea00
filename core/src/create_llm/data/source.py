"""Data sources and synthesizers: where documents come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from create_llm.data.documents import Document
from create_llm.errors import PluginError


class DataSource(Protocol):
    """Built as `target(config, root)`; `root` is the project folder, for relative paths."""

    def documents(self) -> Iterator[Document]:
        """All documents, in a fixed order, without holding them in memory.

        Raises:
            DataError: nothing usable, or a file that cannot be read; says which and why.
        """
        ...

    def fingerprint(self) -> str:
        """SHA-256 (hex) that changes whenever the documents do; must not need to yield them."""
        ...

    def total_bytes(self) -> int | None:
        """UTF-8 bytes to expect, for progress bars; None when unknown."""
        ...


class Synthesizer(Protocol):
    """Built as `target(config)`."""

    def generate(self, samples: int, topic: str | None) -> Iterator[Document]:
        """Yield this many documents, about `topic` if one is given."""
        ...


def documents_of(source: DataSource) -> Iterator[Document]:
    """The documents of a source that hold text.

    Raises:
        PluginError: the source yields something else.
        DataError: as the source does.
    """
    found: Iterator[object] = source.documents()
    for document in found:
        if not isinstance(document, Document):
            raise PluginError(
                f"{type(source).__name__} yields a {type(document).__name__}; a data source has to "
                "yield Document objects, such as Document.plain(text, Origin(path, line))",
                where=type(source).__module__,
                fixes=("see docs/plugins/data_sources.md", "check it: llm plugins test NAME"),
            )
        if document.text:
            yield document
