"""Jobs of synthetic text: planned, written, broken off anywhere, gone on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from create_llm.data.documents import Document, Origin, Rejected, Segment
from create_llm.data.synthesis.asking import (
    Answer,
    AskingSynthesizer,
    Request,
    Usage,
    question_and_answer,
)
from create_llm.data.synthesis.job import Order, Statistics, Writing, estimate, planned
from create_llm.data.synthesis.journal import Journal
from create_llm.data.synthesis.passages import LONGEST, Passage, passages, visits
from create_llm.data.synthesis.rows import likeness, problem_of
from create_llm.errors import DataError, PluginError


class Numbers(AskingSynthesizer):
    """Two pairs a request; stops the process, so to speak, before request `stop`."""

    at_once = 2

    def __init__(self, stop: int | None = None) -> None:
        self.stop, self.asked = stop, []

    def ask(self, request: Request) -> Answer:
        if request.number == self.stop:
            raise KeyboardInterrupt
        self.asked.append(request)
        pairs = (f"{request.number}/{n} of {request.passage}?" for n in range(request.samples))
        made = (question_and_answer(each, "So ä.", "numbers", 1) for each in pairs)
        return Answer(tuple(made), usage=Usage(1, 2, 0.5))

    def estimate(self, request: Request) -> Usage:
        return Usage(len(request.passage or ""), request.samples, 0.25)


def read() -> list[Passage]:
    return [Passage(f"passage {n}", Origin("book", n + 1), 0) for n in range(6)]


ORDER = Order("numbers", 9, None, lambda: iter(read()), "text")


def carry_out(folder: Path, synthesizer, order: Order = ORDER) -> Statistics:
    at_once = getattr(synthesizer, "at_once", 1)
    job, _ = planned(order, at_once, folder / "synth", folder / "raw")
    with Journal(folder / "synth", folder / "raw", job) as journal:
        return Writing(order, synthesizer, journal).run(lambda done: None)


def questions(folder: Path) -> list[str]:
    files = sorted((folder / "raw").glob("*.jsonl"))
    lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    return [json.loads(line)["messages"][0]["content"] for line in lines]


@pytest.fixture
def whole(tmp_path) -> list[str]:
    carry_out(tmp_path / "whole", Numbers())
    return questions(tmp_path / "whole")


def test_wherever_it_is_killed_no_row_is_lost_or_repeated(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path / "a", Numbers(stop=3))
    journal = (tmp_path / "a" / "synth" / "numbers-001.jsonl").read_bytes()
    written = (tmp_path / "a" / "raw" / "synthetic-numbers-001.jsonl").read_bytes()
    last = json.loads(journal.splitlines()[-1])
    begin = len(journal) - len(journal.splitlines()[-1]) - 1
    torn = [(journal[:cut], written[: last["at"]]) for cut in range(begin, len(journal), 23)]
    half = [(journal, written[:cut]) for cut in range(last["at"], len(written) + 1, 13)]
    for number, (kept_journal, kept_rows) in enumerate(torn + half):
        folder = tmp_path / f"b{number}"
        for name, kept in (("synth", kept_journal), ("raw", kept_rows)):
            (folder / name).mkdir(parents=True)
            file = "numbers-001.jsonl" if name == "synth" else "synthetic-numbers-001.jsonl"
            (folder / name / file).write_bytes(kept)
        synthesizer = Numbers()
        found = carry_out(folder, synthesizer)
        assert questions(folder) == whole
        asked = [request.number for request in synthesizer.asked]
        assert asked == ([2, 3, 4] if number < len(torn) else [3, 4])
        assert (found.documents, found.requests, found.usage.cost) == (9, 5, 2.5)
        shutil.rmtree(folder)


def test_refused_at_the_first_request_no_job_has_begun(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            carry_out(tmp_path, Numbers(stop=0))
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert Path(carry_out(tmp_path, Numbers()).path).name == "synthetic-numbers-001.jsonl"


def test_a_journal_that_a_power_cut_left_zeros_in_is_read_up_to_them(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path / "a", Numbers(stop=3))
    with (tmp_path / "a" / "synth" / "numbers-001.jsonl").open("ab") as file:
        file.write(bytes(4096) + b"\n")
    carry_out(tmp_path / "a", Numbers())
    assert questions(tmp_path / "a") == whole


def test_what_a_person_changed_is_only_added_to(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path, Numbers(stop=3))
    (file,) = (tmp_path / "raw").iterdir()
    mine = '{"messages": [{"role": "user", "content": "Mine?"}]}'
    file.write_text(mine, encoding="utf-8")  # and no line feed at its end
    carry_out(tmp_path, Numbers())
    assert file.read_text("utf-8").splitlines()[0] == mine
    assert len(questions(tmp_path)) == 4


def test_another_job_has_another_file_and_leaves_the_first_alone(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path, Numbers(stop=1))
    other = carry_out(tmp_path, Numbers(), Order("numbers", 3))
    assert Path(other.path).name == "synthetic-numbers-002.jsonl"
    assert carry_out(tmp_path, Numbers()).before == 2
    assert len(questions(tmp_path)) == 12


def test_few_requests_are_spread_over_the_text(tmp_path):
    synthesizer = Numbers()
    carry_out(tmp_path, synthesizer, Order("numbers", 4, None, ORDER.passages, "text"))
    carry_out(tmp_path, synthesizer, Order("numbers", 4, None, ORDER.passages, "text"))
    places = [request.passage for request in synthesizer.asked]
    assert places == ["passage 0", "passage 3", "passage 1", "passage 4"]


def test_a_second_visit_tells_what_was_asked_at_the_first(tmp_path):
    synthesizer = Numbers()
    carry_out(tmp_path, synthesizer, Order("numbers", 14, None, ORDER.passages, "text"))
    assert synthesizer.asked[6].passage == synthesizer.asked[0].passage
    assert synthesizer.asked[6].known == ("0/0 of passage 0?", "0/1 of passage 0?")


def test_an_estimate_asks_nobody():
    job, _ = planned(ORDER, 2, Path("/nowhere/synth"), Path("/nowhere/raw"))
    requests, usage = estimate(Numbers(), ORDER, job)
    assert (requests, usage.output_tokens, usage.cost) == (5, 10, 1.25)


class Barren(AskingSynthesizer):
    """Brings nothing new, but for the first time."""

    def __init__(self) -> None:
        self.asked = 0

    def ask(self, request: Request) -> Answer:
        self.asked += 1
        same = question_and_answer("Why?!" if self.asked % 2 else "why", "So.", "x", 1)
        return Answer((same,), (Rejected(same.origin, "nonsense", "no"),))


def test_it_gives_up_where_nothing_new_comes(tmp_path):
    synthesizer = Barren()
    found = carry_out(tmp_path, synthesizer, Order("barren", 5))
    assert (found.documents, found.repeated, found.rejected) == (1, 10, {"nonsense": 11})


def test_what_costs_nothing_is_asked_about_every_passage(tmp_path):
    synthesizer = Barren()
    synthesizer.gives_up_after = None
    carry_out(tmp_path, synthesizer, Order("barren", 5, None, ORDER.passages, "text"))
    assert synthesizer.asked == 7


def test_what_makes_text_by_itself_goes_on_too(tmp_path):
    class Stories:
        def __init__(self, stop: int | None) -> None:
            self.stop = stop

        def generate(self, samples, topic):
            for number in range(samples):
                if number == self.stop:
                    raise KeyboardInterrupt
                yield Document.plain(f"Story {number}.", Origin("stories", number + 1))

    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path, Stories(3), Order("stories", 5))
    found = carry_out(tmp_path, Stories(None), Order("stories", 5))
    assert (found.documents, found.before, found.words) == (5, 3, 10)
    rows = (tmp_path / "raw" / "synthetic-stories-001.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(row)["text"] for row in rows] == [f"Story {n}." for n in range(5)]


def test_strings_for_documents_are_the_plugin_s_fault(tmp_path):
    class Texts:
        def generate(self, samples, topic):
            yield "a text"

    with pytest.raises(PluginError, match="makes a str"):
        carry_out(tmp_path, Texts(), Order("texts", 1))


def test_a_text_without_a_sentence_is_told():
    with pytest.raises(DataError, match="no text"):
        planned(Order("x", 1, None, lambda: iter(()), "t"), 1, Path("/nowhere"), Path("/nowhere"))


ORIGIN = Origin("x", 1)
QUESTION = Segment("user", "Why?", loss=False)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (Document.plain("text", ORIGIN), None),
        (Document((QUESTION, Segment("assistant", "So.")), ORIGIN), None),
        (Document.plain(" \n", ORIGIN), "no text"),
        (Document((), ORIGIN), "no text"),
        (Document.plain("a\x00b", ORIGIN), "NUL"),
        (Document.plain("a\ud800b", ORIGIN), "surrogate"),
        (Document((QUESTION, Segment("assistant", " ")), ORIGIN), "empty"),
        (Document((QUESTION,), ORIGIN), "no answer"),
        (Document((QUESTION, Segment("assistant", "So.", loss=False)), ORIGIN), "no answer"),
        (Document((QUESTION,), ORIGIN, rejected=(QUESTION,)), "preference"),
    ],
)
def test_what_is_kept(document, problem):
    found = problem_of(document)
    assert found is None if problem is None else problem in (found or "")


def test_questions_are_alike_but_for_case_and_punctuation():
    assert likeness("What  is it?") == likeness("what is IT")
    assert likeness("1 + 1?") != likeness("1 - 1?")
    assert likeness("??") != likeness("!!")


@given(st.lists(st.text("ab .\n\u00e4", max_size=3000), max_size=3))
def test_passages_are_short_and_keep_every_letter(texts):
    documents = [Document.plain(text, ORIGIN) for text in texts]
    found = list(passages(documents))
    assert all(40 <= len(passage.text) <= LONGEST for passage in found)
    letters = sum(len("".join(text.split())) for text in texts)
    kept = sum(len("".join(passage.text.split())) for passage in found)
    assert kept <= letters
    if all(len(text.strip()) >= 40 for text in texts):
        assert letters - kept < 40 * max(1, letters // 1000 + 1) * max(1, len(texts))


def test_each_turn_takes_others():
    turns = visits(lambda: iter(read()), 3, 1)
    assert [next(turns).text[-1] for _ in range(8)] == ["1", "4", "2", "5", "0", "3", "1", "4"]
