"""The contract of data sources."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import ClassVar

import pytest

from create_llm.data.documents import Document
from create_llm.data.source import DataSource, documents_of
from create_llm.errors import DataError
from create_llm.testing.base import PartContract
from create_llm.testing.documents import check_document

_SMALL, _LARGE = 100_000, 2_000_000


class DataSourceContract(PartContract):
    """Where documents come from.

    Attributes:
        memory: of what is read, at most so much may be held at once, as a share.
    """

    kind = "data_sources"
    memory: ClassVar[float] = 0.25

    def corpus(self, root: Path, size: int) -> Mapping[str, object]:
        """Put about `size` bytes of UTF-8 text where the source finds it.

        Returns:
            Options that, over `options`, make the source read it.
        """
        raise NotImplementedError(f"{type(self).__name__} must say how to make a corpus")

    def source(self, root: Path, size: int = _SMALL) -> DataSource:
        """The source over a new corpus."""
        return self._open(root, self.corpus(root, size))

    def test_documents_are_whole(self, tmp_path: Path) -> None:
        """Documents have text, roles and an origin: messages about them name file and line."""
        count = 0
        for document in documents_of(self.source(tmp_path)):
            check_document(document)
            count += 1
        assert count, "no documents"

    def test_origins_differ(self, tmp_path: Path) -> None:
        """No two documents claim the same place, or the place would not help to find one."""
        origins = [str(document.origin) for document in self.source(tmp_path).documents()]
        assert len(set(origins)) == len(origins)

    def test_same_documents_each_time(self, tmp_path: Path) -> None:
        """A source read again, or opened again, yields the same documents in the same order."""
        options = self.corpus(tmp_path, _SMALL)
        source = self._open(tmp_path, options)
        first = list(source.documents())
        assert list(source.documents()) == first, "another reading differs"
        assert list(self._open(tmp_path, options).documents()) == first, "opened again, it differs"

    def test_resumes_after_any_document(self, tmp_path: Path) -> None:
        """Readings do not disturb each other: one given up midway is taken up by skipping what
        it had, while another is under way."""
        options = self.corpus(tmp_path, _SMALL)
        source = self._open(tmp_path, options)
        whole = list(self._open(tmp_path, options).documents())
        half = len(whole) // 2
        abandoned = source.documents()
        begun = list(islice(abandoned, half))
        resumed = list(islice(source.documents(), half, None))
        assert begun + resumed == whole
        assert list(abandoned) == whole[half:], "a second reading disturbs the first"

    def test_memory_stays_flat(self, tmp_path: Path) -> None:
        """A corpus is read, not held: terabytes pass through."""
        source = self.source(tmp_path, _LARGE)
        _size(islice(documents_of(source), 3))  # what is made once, such as word lists
        tracemalloc.start()
        try:
            total = _size(documents_of(source))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert total > _LARGE / 2, f"the corpus holds {total} bytes, asked for were {_LARGE}"
        assert peak < self.memory * total, f"{peak:,} bytes in memory to read {total:,}"

    def test_fingerprint_follows_the_documents(self, tmp_path: Path) -> None:
        """SHA-256 in hex, equal for equal documents and different for others: prepared data is
        used again by it."""
        options = self.corpus(tmp_path, _SMALL)
        first = self._open(tmp_path, options).fingerprint()
        assert re.fullmatch("[0-9a-f]{64}", first), f"not SHA-256 in hex: {first!r}"
        assert self._open(tmp_path, options).fingerprint() == first
        more = self.source(tmp_path, 2 * _SMALL)
        assert more.fingerprint() != first, "the documents changed, the fingerprint did not"

    def test_fingerprint_is_that_of_the_text_wherever_it_lies(self, tmp_path: Path) -> None:
        """A project that has been moved or copied is not prepared again."""
        here, there = tmp_path / "here", tmp_path / "there"
        prints, texts = [], []
        for root in (here, there):
            root.mkdir()
            source = self._open(root, self.corpus(root, _SMALL))
            prints.append(source.fingerprint())
            texts.append([document.text for document in documents_of(source)])
        assert texts[0] != texts[1] or prints[0] == prints[1], "it depends on the folder"

    def test_fingerprint_yields_no_documents(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is asked for at every start: making all documents for it would double the work."""
        source = self.source(tmp_path)

        def documents(self: object) -> Iterator[Document]:
            pytest.fail("fingerprint() reads documents()")

        monkeypatch.setattr(type(source), "documents", documents)
        source.fingerprint()

    def test_total_bytes_is_about_right(self, tmp_path: Path) -> None:
        """A progress bar needs a total within a fifth, or None."""
        source = self.source(tmp_path)
        total, real = source.total_bytes(), _size(documents_of(source))
        assert total is None or abs(total - real) <= 0.2 * real, f"{total} announced, {real} read"

    def test_an_empty_project_is_no_stack_trace(self, tmp_path: Path) -> None:
        """Without anything to read a source raises `DataError` with something to do, or needs
        no files at all."""
        source, advice = self._open(tmp_path, {}), None
        try:
            found = list(islice(source.documents(), 1))
        except DataError as error:
            found, advice = [], error.fixes
        assert found or advice, "no document, and no DataError that says what to do"

    def _open(self, root: Path, options: Mapping[str, object]) -> DataSource:
        source: DataSource = self.part().load()(self.config(**options), root)
        return source


def _size(documents: Iterator[Document]) -> int:
    return sum(len(document.text.encode()) for document in documents)
