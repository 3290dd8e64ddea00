"""The contract of synthesizers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from create_llm.data.documents import Document
from create_llm.data.source import Synthesizer
from create_llm.data.synthesis import write_documents
from create_llm.testing.base import PartContract
from create_llm.testing.documents import check_document


class SynthesizerContract(PartContract):
    """Makers of synthetic text. One that asks a service overrides `synthesizer` to give it a
    stand-in: tests touch no network."""

    kind = "synthesizers"

    def synthesizer(self) -> Synthesizer:
        made: Synthesizer = self.part().load()(self.config())
        return made

    def test_yields_as_many_as_asked(self) -> None:
        """So many documents, no more and no fewer: people pay for them."""
        for samples in (1, 2, 7):
            assert len(list(self.synthesizer().generate(samples, None))) == samples

    def test_documents_are_whole(self) -> None:
        """Documents with text that is more than blanks, as sources yield them."""
        for document in self.synthesizer().generate(5, None):
            check_document(document)
            assert document.text.strip(), f"{document.origin} is blank"

    def test_documents_differ(self) -> None:
        """A text many times over teaches nothing but that text."""
        texts = [document.text for document in self.synthesizer().generate(10, None)]
        assert len(set(texts)) > len(texts) / 2, f"{len(set(texts))} of {len(texts)} differ"

    def test_takes_a_topic(self) -> None:
        """A topic changes what is written, and not how much."""
        plain = [document.text for document in self.synthesizer().generate(3, None)]
        about = [document.text for document in self.synthesizer().generate(3, "the sea")]
        assert len(about) == 3
        assert about != plain, "the topic changes nothing"

    def test_yields_one_at_a_time(self) -> None:
        """An iterator, not a list: each is written as it comes."""
        documents: Iterator[Document] = self.synthesizer().generate(3, None)
        assert iter(documents) is documents, f"{type(documents).__name__} is no iterator"

    def test_writes_a_file(self, tmp_path: Path) -> None:
        """`llm synth` makes one text file in data/raw of it."""
        written = write_documents(tmp_path, "name", self.synthesizer().generate(3, None))
        assert written["documents"] == 3
        assert Path(str(written["path"])).read_text(encoding="utf-8").strip()
