"""The contract of synthesizers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from create_llm.data.documents import Document
from create_llm.data.source import Synthesizer
from create_llm.data.synthesis.asking import AskingSynthesizer
from create_llm.data.synthesis.job import Order, Writing, planned
from create_llm.data.synthesis.journal import Journal
from create_llm.data.synthesis.rows import problem_of
from create_llm.testing.base import PartContract
from create_llm.testing.documents import check_document


class SynthesizerContract(PartContract):
    """Makers of synthetic text. One that asks a service overrides `synthesizer` to give it a
    stand-in: tests touch no network. One that needs text to ask about overrides `passages`."""

    kind = "synthesizers"

    def synthesizer(self) -> Synthesizer:
        made: Synthesizer = self.part().load()(self.config())
        return made

    def passages(self) -> Sequence[str]:
        """Text to ask about, some of it on the sea; none for those that need none."""
        return ()

    def documents(self, samples: int, topic: str | None) -> Iterator[Document]:
        synthesizer, passages = self.synthesizer(), self.passages()
        if passages and isinstance(synthesizer, AskingSynthesizer):
            return synthesizer.generate(samples, topic, passages)
        return synthesizer.generate(samples, topic)

    def test_yields_as_many_as_asked(self) -> None:
        """So many documents, no more and no fewer: people pay for them."""
        for samples in (1, 2, 7):
            assert len(list(self.documents(samples, None))) == samples

    def test_documents_are_whole(self) -> None:
        """Documents with text that is more than blanks, as sources yield them; of conversations
        every turn, and one of them the assistant's."""
        for document in self.documents(5, None):
            check_document(document)
            problem = problem_of(document)
            assert problem is None, f"{document.origin}: {problem}"

    def test_documents_differ(self) -> None:
        """A text many times over teaches nothing but that text."""
        texts = [document.text for document in self.documents(10, None)]
        assert len(set(texts)) > len(texts) / 2, f"{len(set(texts))} of {len(texts)} differ"

    def test_takes_a_topic(self) -> None:
        """A topic changes what is written, and not how much."""
        plain = [document.text for document in self.documents(3, None)]
        about = [document.text for document in self.documents(3, "the sea")]
        assert len(about) == 3
        assert about != plain, "the topic changes nothing"

    def test_yields_one_at_a_time(self) -> None:
        """An iterator, not a list: each is written as it comes."""
        documents: Iterator[Document] = self.documents(3, None)
        assert iter(documents) is documents, f"{type(documents).__name__} is no iterator"

    def test_writes_a_file(self, tmp_path: Path) -> None:
        """`llm synth` makes a file of JSON lines in data/raw of what it yields."""
        order = Order("name", 3)
        job, _ = planned(order, 1, tmp_path / "synth", tmp_path / "raw")
        with Journal(tmp_path / "synth", tmp_path / "raw", job) as journal:
            found = Writing(order, _Given(list(self.documents(3, None))), journal).run(
                lambda rows: None
            )
        assert found.documents + found.repeated == 3, found
        assert (tmp_path / "raw" / "synthetic-name-001.jsonl").is_file()


class _Given:
    """Yields what there is."""

    def __init__(self, documents: list[Document]) -> None:
        self._documents = documents

    def generate(self, samples: int, topic: str | None) -> Iterator[Document]:
        return iter(self._documents[:samples])
