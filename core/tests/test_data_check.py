"""What a check finds in a corpus: counts, problems, lengths, repetitions, overlap."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest

from create_llm.data.check.advice import advice
from create_llm.data.check.checking import check
from create_llm.data.check.failures import Failures
from create_llm.data.check.lengths import Bin, LengthCounter
from create_llm.data.check.overlap import WORDS, Comparison, ValidationRuns, hash_runs, words_of
from create_llm.data.check.reading import Counts, read
from create_llm.data.check.repeats import RepeatCounter
from create_llm.data.corpus import Corpus
from create_llm.data.documents import Document, Origin, Rejected, Segment
from create_llm.data.encoding import DocumentEncoder
from create_llm.data.problems import MOST_KINDS, TOLD, ProblemCounter
from create_llm.data.source import FileSurvey
from create_llm.data.split import is_validation, split_position
from create_llm.data.tokenizer import SpecialTokens
from create_llm.errors import DataError


class Rows:
    """A source of given rows: texts, documents, or what is rejected."""

    def __init__(self, rows, path="a.txt", val=None):
        self._rows, self._path, self._val = rows, path, val

    def validation(self):
        return self._val

    def documents(self):
        for line, row in enumerate(self._rows, 1):
            yield Document.plain(row, Origin(self._path, line)) if isinstance(row, str) else row

    def fingerprint(self):
        return "0" * 64

    def total_bytes(self):
        return None


class Files(Rows):
    """The same, which also says what its files are."""

    def __init__(self, rows, surveys):
        super().__init__(rows, surveys[0].path)
        self._surveys = surveys
        self.skipped = ["picture.png (not text)"]

    def survey(self):
        yield from self._surveys


def text_of(n, words=20):
    chosen = random.Random(n)
    return " ".join(f"w{chosen.randrange(10**6)}" for _ in range(words))


def texts(count, words=20):
    return [text_of(n, words) for n in range(count)]


def checked(rows, **options):
    return check(Corpus((Rows(rows),), 0.1, **options))


def bad(line, problem, path="a.txt"):
    return Rejected(Origin(path, line), problem, "mend it")


def test_every_row_is_either_kept_or_rejected():
    rows = [*texts(60), bad(61, "no 'text'"), *texts(100)[60:], bad(102, "no 'text'")]
    report = checked(rows)
    (file,) = report.files
    assert (file.documents, file.rejected) == (report.documents, report.rejected) == (100, 2)
    assert file.documents + file.rejected == len(rows)
    assert report.train_documents + report.val_documents == 100
    expected = [is_validation(row, 0.1) for row in rows if isinstance(row, str)]
    assert report.val_documents == sum(expected)
    assert report.usable


def test_the_first_of_each_kind_of_problem_are_told_and_the_rest_counted():
    counter = ProblemCounter()
    for line in range(1, 218):
        counter.add(bad(line, f"column {line} is not 'x{line}'", "b.csv"))
    counter.add(bad(3, "something else", "b.csv"))
    counter.add(bad(1, "column 1 is not 'x1'", "c.csv"))
    counter.add(bad(4, "something else", "b.csv"))
    columns, other, second = counter.kinds()
    assert [each.origin.line for each in columns.first] == [1, 2, 3][:TOLD]
    assert columns.count == 217
    assert (other.count, second.count) == (2, 1)
    assert [each.first[0].origin.path for each in (columns, other, second)] == [
        "b.csv", "b.csv", "c.csv"
    ]  # fmt: skip
    assert counter.count == 220


def test_problems_without_end_do_not_fill_the_memory():
    counter = ProblemCounter()
    for number in range(MOST_KINDS + 500):
        counter.add(bad(1, "odd", f"{number}.txt"))
    assert len(counter.kinds()) == MOST_KINDS
    assert counter.count == MOST_KINDS + 500


def test_a_source_that_knows_its_files_is_believed():
    surveys = [
        FileSurvey("a.jsonl.gz", "jsonl.gz", "messages", ("role and content in 50 rows",), 4321),
        FileSurvey("empty.txt", "text", "text", (), 0),
    ]
    report = check(Corpus((Files(texts(100), surveys),), 0.1))
    first, empty = report.files
    assert (first.format, first.structure, first.bytes) == ("jsonl.gz", "messages", 4321)
    assert first.evidence == ("role and content in 50 rows",)
    assert (empty.documents, empty.rejected) == (0, 0)
    assert any("empty.txt" in each.problem for each in advice(report))
    assert report.skipped == ("picture.png (not text)",)


@pytest.mark.parametrize(
    ("document", "structure"),
    [
        (Document.plain("x" * 200, Origin("a", 1)), "text"),
        (Document((Segment("user", "x" * 200, loss=False),), Origin("a", 1)), "messages"),
        (
            Document((Segment("user", "x" * 200),), Origin("a", 1), (Segment("assistant", "no"),)),
            "preference",
        ),
        (
            Document((Segment("user", "x" * 200),), Origin("a", 1), meta={"structure": "own"}),
            "own",
        ),
    ],
)
def test_the_documents_show_the_structure_where_the_source_does_not_say_it(document, structure):
    assert checked([document, text_of(1)]).files[0].structure == structure


def test_validation_of_its_own_is_a_file_for_validation():
    val = Rows(texts(60)[50:], "val.txt")
    report = check(Corpus((Rows(texts(50), val=val),), 0.1))
    assert [(file.path, file.side) for file in report.files] == [
        ("a.txt", "train"), ("val.txt", "val")
    ]  # fmt: skip
    assert (report.train_documents, report.val_documents) == (50, 10)
    assert report.val_bytes == sum(len(text) for text in texts(60)[50:])


def test_lengths_are_in_tokens_where_there_is_a_tokenizer():
    report = checked([*texts(99, words=8), text_of(99, words=200)])
    assert report.lengths.unit == "words"
    assert (report.lengths.longest, report.lengths.documents) == (200, 100)
    assert report.lengths.bins[0] == Bin(8, 15, 99)
    assert report.lengths.bins[-1] == Bin(128, 255, 1)
    assert sum(part.count for part in report.lengths.bins) == 100
    encoder = DocumentEncoder(Letters())
    rows = texts(50)
    report = check(Corpus((Rows(rows),), 0.1), encoder=encoder)
    assert report.lengths.unit == "tokens"
    assert report.lengths.longest == max(map(len, rows))


def test_lengths_are_in_characters_where_no_space_divides_words():
    report = checked(["這是一個沒有空格的句子" * 5 + str(n) for n in range(40)])
    assert report.lengths.unit == "characters"
    assert report.lengths.longest == 57


class Letters:
    """A tokenizer whose tokens are characters."""

    vocab_size = 0x110001

    special = SpecialTokens(eos=0x110000, named={"</s>": 0x110000})

    def encode_batch(self, texts):
        return [[ord(c) for c in text] for text in texts]


def test_lengths_double_in_width():
    counter = LengthCounter()
    for length in (0, 1, 2, 3, 4, 1000):
        counter.add(length)
    bins = counter.summary("words", sampled=False).bins
    assert bins[:4] == (Bin(0, 0, 1), Bin(1, 1, 1), Bin(2, 3, 2), Bin(4, 7, 1))
    assert bins[-1] == Bin(512, 1023, 1)
    assert len(bins) == 11


def test_repetitions_are_counted_and_the_most_frequent_located():
    rows = texts(90)
    rows[10] = rows[20] = rows[5]
    rows[7] = rows[6]
    report = checked(rows)
    assert report.repeats.documents == 3
    assert report.repeats.share == pytest.approx(3 / 90)
    first, second = report.repeated
    assert (first.count, first.places) == (3, ("a.txt:6", "a.txt:11", "a.txt:21"))
    assert rows[5].startswith(first.text)
    assert (second.count, second.places) == (2, ("a.txt:7", "a.txt:8"))
    assert any("deduplicate" in each.suggestion for each in advice(report))
    report = checked(rows, deduplicate=True)
    assert not any("deduplicate" in each.suggestion for each in advice(report))


def test_repetitions_of_many_documents_are_a_fair_estimate():
    counter = RepeatCounter(limit=1000)
    for n in range(20_000):
        counter.add(split_position(str(n)))
        if n % 10 == 0:
            counter.add(split_position(str(n)))
    found = counter.result()
    assert found.sampled
    assert found.share == pytest.approx(2_000 / 22_000, rel=0.25)
    assert found.documents == pytest.approx(2_000, rel=0.25)


def test_very_short_documents_are_told():
    report = checked([*texts(30), "Hm.", *texts(60)[30:]])
    assert (report.short, report.short_places) == (1, ("a.txt:31",))
    assert any("fewer than 20 characters" in each.problem for each in advice(report))


def test_words_are_lower_case_and_without_punctuation():
    assert words_of("Don't stop -- NOW!") == ["dont", "stop", "now"]
    assert words_of("¿Qué dice «él»? Snake_case — no.") == ["qué", "dice", "él", "snakecase", "no"]


def runs_by_hand(text):
    words = words_of(text)
    return [tuple(words[n : n + WORDS]) for n in range(len(words) - WORDS + 1)]


def test_runs_stay_within_their_documents():
    batch = ["short one", text_of(1, WORDS), "", text_of(2, 40), text_of(1, WORDS), "x " * 5]
    hashes, lengths = hash_runs(batch)
    assert lengths.tolist() == [len(runs_by_hand(text)) for text in batch]
    assert len(hashes) == sum(lengths)
    assert len(set(hashes.tolist())) == len({run for text in batch for run in runs_by_hand(text)})
    alone = [hash_runs([text])[0] for text in batch]
    assert np.array_equal(np.concatenate(alone), hashes)
    assert hash_runs(["nothing"])[0].size == 0
    assert hash_runs([])[1].size == 0


def overlap_by_hand(train, val):
    known = {run for text in train for run in runs_by_hand(text)}
    compared = [runs_by_hand(text) for text in val if runs_by_hand(text)]
    different = {run for runs in compared for run in runs}
    return (
        len(compared),
        sum(any(run in known for run in runs) for runs in compared),
        len(different),
        len(different & known),
    )


def test_the_overlap_is_that_of_comparing_every_run():
    shared = [text_of(n, 16) for n in range(1000, 1020)]
    rows = [f"{text_of(n, 30)} {shared[n % 20] if n % 3 else ''}" for n in range(300)]
    rows += [text_of(n, 5) for n in range(2000, 2020)]
    report = checked(rows)
    fraction = 0.1
    val = [text for text in rows if is_validation(text, fraction)]
    train = [text for text in rows if not is_validation(text, fraction)]
    found = report.overlap
    counted = (found.documents, found.shared_documents, found.runs, found.shared_runs)
    assert counted == overlap_by_hand(train, val)
    assert 0 < found.shared_documents < found.documents
    assert not found.sampled
    assert any(f"{WORDS} words" in each.problem for each in advice(report))


class Named(Rows):
    """With a fingerprint of its own."""

    def fingerprint(self):
        return self._path


def test_each_of_several_sources_has_its_own_validation():
    first = Rows(texts(50), val=Named(texts(60)[50:], "a/val.txt"))
    second = Rows(texts(90)[60:], "b.txt", val=Named(texts(95)[90:], "b/val.txt"))
    third = Rows(texts(300)[100:], "c.txt")
    again = Rows(texts(330)[300:], "d.txt", val=Named(texts(60)[50:], "a/val.txt"))
    report = check(Corpus((first, second, third, again), 0.1))
    assert sorted((file.path, file.side, file.documents) for file in report.files) == [
        ("a.txt", "train", 50), ("a/val.txt", "val", 10), ("b.txt", "train", 30),
        ("b/val.txt", "val", 5), ("c.txt", "train", 200), ("d.txt", "train", 30),
    ]  # fmt: skip


def test_case_and_punctuation_hide_no_copy():
    copied = text_of(1, 60)
    loud = copied.upper().replace(" ", ", ", 20) + "!"
    report = check(Corpus((Rows([copied, *texts(20)], val=Rows([loud], "val.txt")),), 0.1))
    assert (report.overlap.shared_documents, report.overlap.shared_runs) == (1, 48)


def test_more_validation_than_can_be_kept_is_sampled_by_whole_documents():
    runs = ValidationRuns(limit=500)
    val = texts(200, words=22)
    for start in range(0, 200, 20):
        batch = val[start : start + 20]
        runs.add(batch, [split_position(text) for text in batch])
    assert len(runs.hashes) <= 500
    assert runs.sampled
    comparison = Comparison(runs)
    comparison.look_at(val[:100])
    found = comparison.result()
    assert found.documents * 10 == found.runs
    assert 0.2 < found.shared_documents / found.documents < 0.8


def test_one_long_document_is_kept_whatever_its_length():
    runs = ValidationRuns(limit=10)
    runs.add([text_of(1, 100)], [0.05])
    assert len(runs.lengths) == 1


def test_too_little_text_is_told_beside_what_there_is():
    report = checked(["ten bytes."])
    assert report.documents == 1
    assert not report.usable
    assert "10 bytes" in report.failure.what
    assert report.overlap is None


def test_what_is_all_rejected_is_not_usable():
    report = checked([bad(1, "no text"), bad(2, "no text")])
    assert (report.documents, report.rejected, report.usable) == (0, 2, False)
    assert report.failure is not None


def test_a_failure_in_the_middle_keeps_what_was_found():
    class Broken(Rows):
        def documents(self):
            yield from super().documents()
            raise DataError("the disk is gone", fixes=("look for it",))

    report = check(Corpus((Broken([bad(1, "no text"), "a text"]),), 0.1))
    assert (report.documents, report.rejected) == (1, 1)
    assert report.failure.what == "the disk is gone"
    with pytest.raises(DataError, match="disk"):
        check(Corpus((Broken([]),), 0.1))


def test_advice_is_silent_about_good_text():
    assert advice(checked(texts(2000, words=40))) == ()
    assert any("little" in each.problem for each in advice(checked(texts(40))))


def ended_stages(corpus):
    """What was told last of each stage."""
    told = {}
    check(corpus, progress=lambda stage, *figures: told.update({stage: figures}))
    return told


def test_progress_names_both_readings_and_ends_at_all_of_it():
    class Mistaken(Rows):
        def total_bytes(self):
            return 3_000_000

    rows = texts(12, words=20_000)
    size = sum(map(len, rows))
    stages = {"reading the data": (size, size), "comparing train with validation": (size, size)}
    for kind in (Rows, Mistaken):
        assert ended_stages(Corpus((kind(rows),), 0.1)) == stages
    survey = FileSurvey("a.txt", "text", "text", (), 4321)
    surveyed = ended_stages(Corpus((Files(rows, [survey]),), 0.1))
    assert surveyed == {"recognising the files": (4321, 4321), **stages}


class Long(Rows):
    """So many documents of 20 KB, made when they are read."""

    def documents(self):
        for line in range(1, self._rows + 1):
            text = f"{line} " + ("x" * 99 + " ") * 200
            yield Document.plain(text, Origin("a.txt", line))


def count(corpus):
    """The first reading alone: what the second allocates would hide what it holds."""
    counts = Counts(None, None)
    for seen in read(corpus, corpus.val_split, None, None, Failures().note):
        counts.add(seen)
    counts.runs()


def peak_of(action, documents):
    tracemalloc.start()
    try:
        action(Corpus((Long(documents),), 0.5))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("action", [check, count])
def test_a_large_corpus_is_not_held(action):
    peak_of(action, 30)  # what is imported and made once
    small, large = peak_of(action, 60), peak_of(action, 260)
    assert large - small < 1_000_000, "200 documents more are 2 MB of text on either side"


class Unusable(Rows):
    """A source that rejects what it holds, and says in the end that there was nothing else."""

    def documents(self):
        yield bad(1, "torn", self._path)
        raise DataError(f"nothing in {self._path} can be used")


@pytest.mark.parametrize("turned", [False, True])
def test_a_source_that_cannot_be_used_keeps_from_reading_no_other(turned):
    sources = (Unusable([], "bad.txt"), Rows(texts(100)), Unusable([], "worse.txt"))
    report = check(Corpus(sources[::-1] if turned else sources, 0.1))
    assert report.usable
    assert (report.documents, report.rejected) == (100, 2)
    assert report.val_documents > 0
    assert report.overlap is not None
    assert not any("holds no text" in each.problem for each in advice(report))


def test_a_source_alone_or_the_validation_that_cannot_be_used_is_a_failure():
    report = check(Corpus((Unusable([]),), 0.1))
    assert "nothing in a.txt" in report.failure.what
    sources = (Rows(texts(100), val=Unusable([], "val.txt")), Rows(texts(9)))
    report = check(Corpus(sources, 0.1))
    assert "nothing in val.txt" in report.failure.what
    assert report.documents == 109
    report = check(Corpus((Unusable([], "a"), Unusable([], "b")), 0.1))
    assert "nothing in a " in report.failure.what


def test_rows_in_one_line_are_told_by_their_numbers():
    row = Document.plain("the same", Origin("a.json", 1))
    report = checked([row, bad(1, "torn", "a.json"), row, *texts(50)])
    (text,) = report.repeated
    assert text.places == ("a.json:1 (row 1)", "a.json:1 (row 3)")
    assert report.short_places == text.places


def test_short_answers_are_not_called_headings():
    def pair(n):
        turns = (Segment("user", f"{n}?", loss=False), Segment("assistant", f"{n}!"))
        return Document(turns, Origin("a.jsonl", n))

    def suggestion(rows):
        return next(a.suggestion for a in advice(checked(rows)) if "fewer than" in a.problem)

    assert "headings" not in suggestion([pair(n) for n in range(100)])
    assert "headings" in suggestion([*texts(50), *map(str, range(50))])
    one = advice(checked([*texts(50), "short"]))
    assert any("1 document has fewer" in each.problem for each in one)


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (("train.txt", "vall.txt"), "val.txt"),
        (("train-00001.csv", "vaild-00001.csv"), "valid-00001.csv"),
        (("data/raw/train/a.txt", "data/raw/validate/a.txt"), "validation"),
        (("train.txt", "valley.txt"), None),
        (("train.txt", "value.txt"), None),
        (("story.txt", "vall.txt"), None),
        (("train.txt", "val.txt"), None),
    ],
)
def test_a_validation_file_with_a_misspelt_name_is_told(names, meant):
    rows = [Document.plain(text_of(n), Origin(name, n)) for name in names for n in range(40)]
    told = [each for each in advice(checked(rows)) if "validation text is known" in each.problem]
    assert [each.suggestion.split()[3] for each in told] == ([meant] if meant else [])
