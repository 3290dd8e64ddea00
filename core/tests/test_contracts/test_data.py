"""The contracts of data sources and synthesizers against planted faults."""

from __future__ import annotations

import hashlib
import random

from create_llm.data.documents import Document, Origin
from create_llm.errors import DataError
from create_llm.testing import DataSourceContract, SynthesizerContract


class Lines:
    """A sound source: the lines of a file, each a document."""

    def __init__(self, config, root):
        self.path = root / "lines.txt"

    def documents(self):
        self.check()
        with self.path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                yield Document.plain(line, Origin(self.path.name, number))

    def check(self):
        if not self.path.is_file():
            raise DataError("there is no lines.txt", fixes=("write one",))

    def fingerprint(self):
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def total_bytes(self):
        return self.path.stat().st_size


class LinesContract(DataSourceContract):
    def corpus(self, root, size):
        lines = (f"line {number}" + " goes on" * 48 + "\n" for number in range(size // 395))
        (root / "lines.txt").write_text("".join(lines))
        return {}


class Stories:
    """A sound synthesizer."""

    def __init__(self, config):
        pass

    def generate(self, samples, topic):
        for number in range(samples):
            yield Document.plain(f"story {number} of {topic}", Origin("stories", number + 1))


def test_a_sound_source_passes(failures):
    assert failures(LinesContract, Lines) == set()


def test_a_source_in_random_order_is_caught(failures):
    class Shuffles(Lines):
        def documents(self):
            documents = super().documents()
            for document in documents:
                following = next(documents, None)
                pair = [d for d in (document, following) if d is not None]
                random.shuffle(pair)
                yield from pair

    assert failures(LinesContract, Shuffles) == {
        "same_documents_each_time",
        "resumes_after_any_document",
    }


def test_a_source_that_can_be_read_once_is_caught(failures):
    class Once(Lines):
        file = None

        def documents(self):
            self.check()
            self.file = self.file or self.path.open(encoding="utf-8")
            for number, line in enumerate(self.file, 1):
                yield Document.plain(line, Origin(self.path.name, number))

    found = failures(LinesContract, Once)
    assert {"same_documents_each_time", "resumes_after_any_document"} <= found
    assert found <= {
        "same_documents_each_time",
        "resumes_after_any_document",
        "memory_stays_flat",
    }


def test_readings_that_share_a_file_are_caught(failures):
    class Shares(Lines):
        file = None

        def documents(self):
            self.check()
            self.file = self.file or self.path.open(encoding="utf-8")
            self.file.seek(0)
            number = 0
            while line := self.file.readline():
                number += 1
                yield Document.plain(line, Origin(self.path.name, number))

    assert failures(LinesContract, Shares) == {"resumes_after_any_document"}


def test_holding_a_corpus_in_memory_is_caught(failures):
    class Holds(Lines):
        def documents(self):
            return iter(list(super().documents()))

    assert failures(LinesContract, Holds) == {"memory_stays_flat"}


def test_a_fingerprint_of_the_path_is_caught(failures):
    class Blind(Lines):
        def fingerprint(self):
            return hashlib.sha256(str(self.path).encode()).hexdigest()

    assert failures(LinesContract, Blind) == {
        "fingerprint_follows_the_documents",
        "fingerprint_is_that_of_the_text_wherever_it_lies",
    }


def test_a_fingerprint_that_is_no_sha_256_is_caught(failures):
    class Short(Lines):
        def fingerprint(self):
            return super().fingerprint()[:16]

    assert failures(LinesContract, Short) == {"fingerprint_follows_the_documents"}


def test_a_fingerprint_that_makes_all_documents_is_caught(failures):
    class Slow(Lines):
        def fingerprint(self):
            texts = "".join(document.text for document in self.documents())
            return hashlib.sha256(texts.encode()).hexdigest()

    assert failures(LinesContract, Slow) == {"fingerprint_yields_no_documents"}


def test_a_wrong_total_is_caught(failures):
    class Characters(Lines):
        def total_bytes(self):
            return super().total_bytes() // 1000  # kilobytes

    assert failures(LinesContract, Characters) == {"total_bytes_is_about_right"}


def test_lines_counted_from_zero_are_caught(failures):
    class Zero(Lines):
        def documents(self):
            for document in super().documents():
                origin = Origin(document.origin.path, document.origin.line - 1)
                yield Document(document.segments, origin)

    assert failures(LinesContract, Zero) == {"documents_are_whole"}


def test_one_origin_for_all_is_caught(failures):
    class Vague(Lines):
        def documents(self):
            for document in super().documents():
                yield Document(document.segments, Origin("lines.txt", 1))

    assert failures(LinesContract, Vague) == {"origins_differ"}


def test_strings_for_documents_are_caught(failures):
    class Texts(Lines):
        def documents(self):
            for number, document in enumerate(super().documents()):
                yield document if number else document.text

    assert "documents_are_whole" in failures(LinesContract, Texts)


def test_a_stack_trace_for_a_missing_file_is_caught(failures):
    class Raw(Lines):
        def check(self):
            pass

    assert failures(LinesContract, Raw) == {"an_empty_project_is_no_stack_trace"}


def test_a_sound_synthesizer_passes(failures):
    assert failures(SynthesizerContract, Stories) == set()


def test_one_document_too_many_is_caught(failures):
    class Generous(Stories):
        def generate(self, samples, topic):
            return super().generate(samples + (samples > 5), topic)

    found = failures(SynthesizerContract, Generous)
    assert found == {"yields_as_many_as_asked"}


def test_the_same_text_again_is_caught(failures):
    class Repeats(Stories):
        def generate(self, samples, topic):
            for number in range(samples):
                yield Document.plain(f"the story of {topic}", Origin("stories", number + 1))

    assert failures(SynthesizerContract, Repeats) == {"documents_differ"}


def test_a_topic_that_changes_nothing_is_caught(failures):
    class Deaf(Stories):
        def generate(self, samples, topic):
            return super().generate(samples, None)

    assert failures(SynthesizerContract, Deaf) == {"takes_a_topic"}


def test_a_list_for_an_iterator_is_caught(failures):
    class Eager(Stories):
        def generate(self, samples, topic):
            return list(super().generate(samples, topic))

    assert failures(SynthesizerContract, Eager) == {"yields_one_at_a_time"}


def test_blank_documents_are_caught(failures):
    class Blank(Stories):
        def generate(self, samples, topic):
            for number, document in enumerate(super().generate(samples, topic)):
                yield Document.plain(" \n", Origin("x", 1)) if number == 3 else document

    assert failures(SynthesizerContract, Blank) == {"documents_are_whole"}
