"""Rows of every structure in every format, some of them spoilt: each is kept or told."""

import csv
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from create_llm.data.documents import Document, Rejected
from create_llm_text.config import TextConfig
from create_llm_text.source import TextSource

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text
)
SPOILT = [None, "", " ", 7, True, 1.5, [], {}, ["a"], {"role": "user"}, "a\0b", "\ud800", [None]]
spoilt = st.sampled_from(SPOILT)


def turns(role, content, names):
    return lambda pair: [
        {role: name, content: text} for name, text in zip(names, pair, strict=True)
    ]


pairs = st.tuples(texts, texts)
OPENAI = turns("role", "content", ("user", "assistant"))
SHAREGPT = turns("from", "value", ("human", "gpt"))
ROWS = {
    "text": texts.map(lambda text: {"text": text}),
    "instruction": pairs.map(lambda p: {"instruction": p[0], "output": p[1]}),
    "messages": pairs.map(lambda p: {"messages": OPENAI(p)}),
    "sharegpt": pairs.map(lambda p: {"conversations": SHAREGPT(p)}),
    "typed": pairs.map(
        lambda p: {"messages": OPENAI([[{"type": "text", "text": each}] for each in p])}
    ),
    "preference": st.tuples(texts, texts, texts)
    .filter(lambda t: t[1] != t[2])
    .map(lambda t: {"prompt": t[0], "chosen": t[1], "rejected": t[2]}),
    "prompt_completion": pairs.map(lambda p: {"prompt": p[0], "completion": p[1]}),
    "questions": pairs.map(lambda p: {"question": p[0], "answer": p[1]}),
}
STRUCTURES = {"sharegpt": "messages", "typed": "messages", "questions": "prompt_completion"}
NESTED = ("messages", "sharegpt", "typed")


@st.composite
def tables(draw):
    """A structure, and rows of which at least the first three are whole: (row, is it whole)."""
    name = draw(st.sampled_from(sorted(ROWS)))
    whole = [(row, True) for row in draw(st.lists(ROWS[name], min_size=3, max_size=6))]
    broken = []
    for row in draw(st.lists(ROWS[name], max_size=2)):
        key = draw(st.sampled_from(sorted(row)))
        broken.append(({**row, key: draw(spoilt)}, False))
    return name, [*whole, *broken]


def write(path, rows):
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
            writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        path.write_text(json.dumps({"version": 1, "data": rows} if "key" in path.stem else rows))


def words(document):
    return [segment.text for segment in (*document.segments, *(document.rejected or ()))]


def expected(row):
    """All that a row says, in the order of a document."""
    if isinstance(row, str):
        return [row]
    values = row.values() if isinstance(row, dict) else row
    named = row if isinstance(row, dict) else {}
    skipped = {"role", "from", "type"} & set(named)
    found = [each for key, each in named.items() if key not in skipped] if named else list(values)
    return [text for value in found for text in expected(value)]


@settings(deadline=None, max_examples=100)
@given(tables(), st.sampled_from(["a.jsonl", "a.json", "key.json", "a.csv", "a.parquet"]))
def test_each_row_is_kept_whole_or_told(tmp_path_factory, table, file):
    name, rows = table
    whole_rows = [row for row, whole in rows if whole]
    if file.endswith(".parquet"):
        rows = [(row, True) for row in whole_rows]  # it has no rows of other types
    if file.endswith(".csv") and name in NESTED:
        return
    folder = tmp_path_factory.mktemp("rows")
    write(folder / file, [row for row, _ in rows])
    source = TextSource(TextConfig(train_path="."), folder)
    (survey,) = source.survey()
    assert survey.structure == STRUCTURES.get(name, name)
    items = list(source.documents())
    assert len(items) == len(rows)
    for item, (row, whole) in zip(items, rows, strict=True):
        if whole:
            assert isinstance(item, Document)
            assert words(item) == expected(row)
        else:
            assert isinstance(item, Document | Rejected)
            assert item.origin.line >= 1
    assert source.total_bytes() is None or source.total_bytes() > 0


@settings(deadline=None, max_examples=60)
@given(st.lists(pairs, min_size=3, max_size=6), st.sampled_from(["Question", "Q", "question"]))
def test_questions_and_answers_in_a_text(tmp_path_factory, rows, name):
    answer = {"Question": "Answer", "Q": "A", "question": "answer"}[name]
    folder = tmp_path_factory.mktemp("questions")
    lines = [f"{name}: {asked}\n{answer}: {said}\n" for asked, said in rows]
    (folder / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    items = list(TextSource(TextConfig(train_path="."), folder).documents())
    assert len(items) >= 1
    if all(":" not in asked + said for asked, said in rows):
        assert [words(item) for item in items] == [list(row) for row in rows]


@settings(deadline=None, max_examples=80)
@given(st.lists(ROWS["prompt_completion"], min_size=1, max_size=20), st.data())
def test_a_damaged_parquet_file_is_told(tmp_path_factory, rows, data):
    folder = tmp_path_factory.mktemp("parquet")
    write(folder / "a.parquet", rows)
    raw = (folder / "a.parquet").read_bytes()
    place = data.draw(st.integers(0, len(raw) - 1))
    kept = data.draw(st.sampled_from([place, len(raw)]))
    changed = raw[:place] + data.draw(st.binary(min_size=1, max_size=4)) + raw[place + 1 : kept]
    (folder / "a.parquet").write_bytes(changed)
    (folder / "b.txt").write_text("kept\n")
    *items, kept_text = TextSource(TextConfig(train_path="."), folder).documents()
    assert kept_text.text == "kept\n"
    assert items
    assert all(isinstance(item, Document | Rejected) for item in items)
