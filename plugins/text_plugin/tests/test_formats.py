"""Every format: its rows, their lines, and what is said of rows that cannot be read."""

import gzip
import json

import pytest
import zstandard

from create_llm.data.documents import Document, Rejected
from create_llm_text.config import TextConfig
from create_llm_text.json_array import read_array
from create_llm_text.lines import read_lines
from create_llm_text.rows import Bad, Row
from create_llm_text.source import TextSource


def read(folder, **options):
    """Everything that the files of a folder become, in order."""
    return list(TextSource(TextConfig(train_path=str(folder), **options), folder).documents())


def split(items):
    """The texts, and the problems as (line, problem)."""
    texts = [item.text for item in items if isinstance(item, Document)]
    problems = [(i.origin.line, i.problem) for i in items if isinstance(i, Rejected)]
    assert len(texts) + len(problems) == len(items)
    assert all(i.suggestion for i in items if isinstance(i, Rejected))
    return texts, problems


def survey(folder, **options):
    return list(TextSource(TextConfig(train_path=str(folder), **options), folder).survey())


ROWS = [{"text": "erste Zeile, ü"}, {"text": 'two "quoted"\nlines'}, {"text": "three\u2028still"}]
TEXTS = [row["text"] for row in ROWS]


def as_csv(sign):
    def field(text):
        return '"' + text.replace('"', '""') + '"'

    lines = [f"id{sign}text", *(f"{n}{sign}{field(text)}" for n, text in enumerate(TEXTS))]
    return "\n".join(lines)


CONTENTS = {
    "a.jsonl": "\n".join(json.dumps(row) for row in ROWS),
    "b.ndjson": "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n",
    "c.json": json.dumps(ROWS, indent=2),
    "d.json": json.dumps(ROWS),
    "e.json": json.dumps({"version": 1, "rows": ROWS}),
    "f.json": "\n".join(json.dumps(row) for row in ROWS),
    "g.csv": as_csv(","),
    "h.csv": as_csv(";"),
    "i.tsv": as_csv("\t"),
    "j.json": json.dumps(TEXTS),
    "k.jsonl": json.dumps(ROWS, indent=1),
}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize("name", CONTENTS)
def test_rows_of_every_format_are_the_same(tmp_path, name, ending, ends):
    data = CONTENTS[name].replace("\n", ends).encode()
    data = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[ending](data)
    (tmp_path / (name + ending)).write_bytes(data)
    assert split(read(tmp_path)) == (TEXTS, [])
    (file,) = survey(tmp_path)
    assert (file.path, file.structure, file.bytes) == (name + ending, "text", len(data))
    formats = {"f.json": "jsonl", "k.jsonl": "json", "b.ndjson": "jsonl", "i.tsv": "csv"}
    assert file.format == formats.get(name, name.partition(".")[2]) + ending
    assert len(file.evidence) >= 3
    assert file.evidence[0].startswith("UTF-8")


def test_parquet_rows_are_read_and_told_by_their_number(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"id": n, "text": f"row {n}" if n != 70 else None} for n in range(200)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=50)
    texts, problems = split(read(tmp_path))
    assert texts == [row["text"] for row in rows if row["text"]]
    assert problems == [(71, "'text' is missing")]
    (file,) = survey(tmp_path)
    assert (file.format, file.structure) == ("parquet", "text")
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    items = list(TextSource(TextConfig(train_path="."), tmp_path).survey())
    assert items[0].structure is None
    assert "damaged" in items[0].evidence[0]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    (tmp_path / "b.txt").write_text("kept\n")
    before = TextSource(TextConfig(train_path="."), tmp_path).fingerprint()
    installed = "create_llm_text.parquet_rows.find_spec"
    monkeypatch.setattr(installed, lambda name: None)
    rejected, kept = read(tmp_path)
    assert "pyarrow" in rejected.problem
    assert rejected.suggestion == "pip install 'create-llm-text[parquet]'"
    assert kept.text == "kept\n"
    # Once it is installed the documents are others.
    assert TextSource(TextConfig(train_path="."), tmp_path).fingerprint() != before


GOOD = '{"text": "good"}'


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('{"text": "a"', "not JSON: Expecting ',' delimiter at column 13"),
        ("{'text': 'a'}", "not JSON: Expecting property name enclosed in double quotes"),
        ('{"text": "a\tb"}', "not JSON: Invalid control character at column 12"),
        ('{"text": NaN}', "NaN is not JSON"),
        ('{"text": "a", "n": -Infinity}', "-Infinity is not JSON"),
        ('{"text": "a", "text": "b"}', "the key 'text' stands twice in one object"),
        ('{"text": "a", "n": 9' + "9" * 4999 + "}", "an integer of 5,000 digits"),
        ('{"text": ' + "[" * 5000 + "]" * 5000 + "}", "nested 5,001 levels deep"),
        ('{"text": "\\ud800 half"}', "'text' holds half a surrogate pair, \\ud800"),
        ('{"text": "a\\u0000b"}', "'text' holds a NUL character"),
        ('{"text": ""}', "'text' is empty"),
        ('{"text": null}', "'text' is missing"),
        ('{"other": "a"}', "'text' is missing"),
        ('{"text": 7}', "'text' is a number, not a text"),
        ('{"text": ["a"]}', "'text' is a list, not a text"),
        ("[1]", "the row is not an object with columns"),
        ('"text"', "the row is not an object with columns"),
    ],
)
@pytest.mark.parametrize("form", ["lines", "list"])
def test_a_bad_json_row_is_told_and_the_others_are_kept(tmp_path, row, problem, form):
    rows = [GOOD, GOOD, row, GOOD]
    if form == "lines":
        (tmp_path / "a.jsonl").write_text("\n".join(rows))
        line = 3
    else:
        (tmp_path / "a.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
        line = 4
    texts, ((at, told),) = split(read(tmp_path))
    assert texts == ["good"] * 3
    assert at == line
    assert told.startswith(problem) or form == "list"


def test_where_a_bracket_or_quote_is_missing_only_that_row_is_lost(tmp_path):
    rows = [{"text": f"row {n}", "of": [n]} for n in range(40)]
    pretty = [json.dumps(row, indent=2) for row in rows]
    pretty[7] = pretty[7].removesuffix("}")
    pretty[20] = pretty[20].replace('row 20"', "row 20")
    (tmp_path / "a.json").write_text("[\n" + ",\n".join(pretty) + "\n]")
    texts, problems = split(read(tmp_path))
    assert texts == [f"row {n}" for n in range(40) if n not in (7, 20)]
    assert len(problems) == 2
    assert problems[0][0] == 1 + 7 * 6 + 1
    assert problems[1][0] == 1 + 20 * 6 + 1


BAD_PARTS = [
    ('"value": 1', '"value": NaN'),
    ('"value": 1', '"value": 1,\n"value": 2'),
    ('"part": "x"', "\"part\": 'x'"),
]


@pytest.mark.parametrize(("right", "wrong"), BAD_PARTS)
def test_a_bad_row_of_nested_ones_is_told_once_however_it_is_indented(tmp_path, right, wrong):
    parts = [{"part": "x"}, {"value": 1}]
    rows = [json.dumps({"text": f"row {n}", "of": parts}, indent=0) for n in range(20)]
    rows[7] = rows[7].replace(right, wrong)
    (tmp_path / "a.json").write_text("[\n" + ",\n".join(rows) + "\n]")
    texts, ((line, _),) = split(read(tmp_path))
    assert texts == [f"row {n}" for n in range(20) if n != 7]
    assert line == 2 + 7 * (rows[0].count("\n") + 1)


def test_rows_that_run_into_each_other_are_divided_though_the_brackets_add_up(tmp_path):
    rows = [json.dumps({"text": f"row {n}", "of": [n]}) for n in range(9)]
    rows[3], rows[5] = rows[3].removesuffix("}"), rows[5] + "}"
    (tmp_path / "a.json").write_text("[\n" + ",\n".join(rows) + "\n]")
    texts, problems = split(read(tmp_path))
    assert texts == [f"row {n}" for n in range(9) if n not in (3, 5)]
    assert [line for line, _ in problems] == [5, 7]


LONG = "x" * 60_000
WIDE = {"text": "wide", "items": [{"prompt": "p", "completion": "c" * 2000}] * 30}
GOOD_LINES = [{"text": "good", "n": n} for n in range(100)]


@pytest.mark.parametrize(
    ("first", "others", "told"),
    [
        (json.dumps(WIDE), [WIDE] * 49, 0),
        (json.dumps({"text": LONG}), GOOD_LINES, 0),
        (json.dumps({"text": LONG}) + "\n\n", GOOD_LINES, 0),
        ('{"text": "a', GOOD_LINES, 1),
        ('{"text": "a"', GOOD_LINES, 1),
        ('{"text": "a"},', GOOD_LINES, 1),
        ('{"text": NaN}', GOOD_LINES, 1),
        ('{"text": NaN}', GOOD_LINES[:1], 1),
        ('{"text": "a', GOOD_LINES[:1], 1),
        ('{"text": "a, ' + LONG, [{"text": LONG}] * 3, 1),
        ('{"text": "a", "items": [{"b": 1}, ' + LONG, GOOD_LINES, 1),
        ('{"text": "a", "items": [{"b": 1}], "c": ' + LONG, GOOD_LINES, 1),
    ],
)
def test_json_lines_are_known_whatever_the_first_is(tmp_path, first, others, told):
    (tmp_path / "a.json").write_text("\n".join([first, *map(json.dumps, others)]))
    texts, problems = split(read(tmp_path))
    assert texts[-len(others) :] == [row["text"] for row in others]
    assert len(texts) + len(problems) == 1 + len(others)
    assert [line for line, _ in problems] == [1] * told
    assert survey(tmp_path)[0].format == "jsonl"


@pytest.mark.parametrize("indent", [None, 0, 1])
@pytest.mark.parametrize("size", [1, 60_000])
def test_a_list_under_a_key_stays_one_however_it_is_written(tmp_path, indent, size):
    rows = [{"text": "x" * size, "of": [{}, {"n": [n]}]} for n in range(3)]
    content = json.dumps({"about": {"n": 1}, "rows": rows}, indent=indent)
    for end in ("", "\n"):
        (tmp_path / "a.json").write_text(content + end)
        assert split(read(tmp_path)) == ([row["text"] for row in rows], [])
    (tmp_path / "a.json").write_text('{"rows": [' + ",\n".join(map(json.dumps, rows)) + "\n]}\n")
    assert split(read(tmp_path)) == ([row["text"] for row in rows], [])


@pytest.mark.parametrize("size", [1, 60_000])
def test_a_line_of_a_list_is_one_conversation_or_all_the_rows(tmp_path, size):
    turns = [{"role": "user", "content": "u" * size}, {"role": "assistant", "content": "a"}]
    for count in (1, 3):
        (tmp_path / "a.jsonl").write_text("\n".join([json.dumps(turns)] * count))
        documents = read(tmp_path)
        assert [len(document.segments) for document in documents] == [2] * count
    (tmp_path / "a.jsonl").write_text(json.dumps([{"text": "x" * size}, {"text": "y"}]) + "\n")
    assert split(read(tmp_path)) == (["x" * size, "y"], [])


@pytest.mark.parametrize(
    ("content", "texts", "problems"),
    [
        ('[{"text": "a"},, {"text": "b"}]', ["a", "b"], ["nothing stands between two commas"]),
        ('[{"text": "a"}, {"text": "b"},]', ["a", "b"], []),
        ('[{"text": "a"}, {"text": "b"}', ["a", "b"], ["the list of rows is not closed"]),
        ('[{"text": "a"}, {"text": "b', ["a"], ["not JSON", "the list of rows is not closed"]),
        ('[{"text": "a"}] {"text": "b"}', ["a"], ["the file goes on after the list of rows: {"]),
        ('{"data": [{"text": "a"}], "more": [1]}', ["a"], ["the file goes on after the list"]),
        ('{"text": "only"}', ["only"], []),
        ('\ufeff  \n {"text": "only"}\n', ["only"], []),
    ],
)
def test_odd_ends_of_json_files(tmp_path, content, texts, problems):
    (tmp_path / "a.json").write_text(content)
    found, told = split(read(tmp_path))
    assert found == texts
    assert len(told) == len(problems)
    assert all(t.startswith(p) for (_, t), p in zip(told, problems, strict=True))


def test_lists_are_the_same_however_they_are_cut():
    values = [{"a": ['x"]},{[', "\\", "\\\\", '\\"', "ü☃", "\n"]}, [[], {}], "s,]", 1.5, None, True]
    for indent in (None, 1):
        data = json.dumps([*values, *values], indent=indent).encode()
        for size in (1, 2, 3, 7, 1000):
            chunks = [data[place : place + size] for place in range(1, len(data), size)]
            rows = list(read_array(chunks))
            assert [row.value for row in rows] == [*values, *values]
            assert len({row.line for row in rows}) == (1 if indent is None else 12)


def test_a_line_beyond_the_limit_is_passed_over():
    data = b"short\r\n" + b"x" * 300 + b"\n\nfits" + b"y" * 196
    for size in (1, 7, 1000):
        chunks = [data[place : place + size] for place in range(0, len(data), size)]
        lines = list(read_lines(chunks, limit=200))
        assert lines == [(1, b"short"), (2, None), (3, b""), (4, b"fits" + b"y" * 196)]


def test_a_row_beyond_the_limit_is_passed_over_without_being_held():
    long = b'"' + b"x" * 300 + b'"'
    data = b'["a", \n' + long + b',\n "b",\n' + long + b"\n]"
    chunks = [data[place : place + 10] for place in range(1, len(data), 10)]
    rows = list(read_array(chunks, limit=200))
    assert [(type(row), row.line) for row in rows] == [(Row, 1), (Bad, 2), (Row, 3), (Bad, 4)]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1", "1 field, where the first line names 2 columns"),
        ("1,a,b", "3 fields, where the first line names 2 columns"),
        ('1,"a" b', "a quote stands within a quoted field"),
        ('1,"never closed', "a quote is opened and never closed"),
        ("1,", "'text' is empty"),
        ("1,nul\0", "'text' holds a NUL character"),
    ],
)
def test_a_bad_csv_row_is_told_and_the_others_are_kept(tmp_path, row, problem):
    lines = ["id,text", "1,good", "", row, "2,good", '3,"go\nod"']
    (tmp_path / "a.csv").write_text("\n".join(lines))
    texts, problems = split(read(tmp_path))
    assert texts == ["good", "good", "go\nod"]
    if problem.startswith("a quote is opened"):  # the next quote closes it, wrongly
        problem = "a quote stands within"
    ((line, told),) = problems
    assert (line, told[: len(problem)]) == (4, problem)


def test_the_index_that_pandas_writes_first_is_no_column(tmp_path):
    (tmp_path / "a.csv").write_text(",question,answer\n0,why,because\n1,how,so\n")
    assert [document.segments[0].text for document in read(tmp_path)] == ["why", "how"]
    (file,) = survey(tmp_path)
    assert file.structure == "prompt_completion"
    first = "columns question, answer after one without a name, which is not used"
    assert file.evidence[1].startswith(first)
    (tmp_path / "a.csv").write_text(",question,\n0,why,because\n")
    (tmp_path / "b.txt").write_text("kept\n")
    assert read(tmp_path)[0].problem == "the first line names no columns: '' is no name"


@pytest.mark.parametrize("header", ["1,2", "a,a", "a,", "x" * 100])
def test_a_table_without_names_is_rejected_as_a_whole(tmp_path, header):
    (tmp_path / "a.csv").write_text(header + "\n" + "some,text\n" * 5)
    (tmp_path / "b.txt").write_text("kept\n")
    rejected, kept = read(tmp_path)
    assert "the first line names" in rejected.problem
    assert kept.text == "kept\n"


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_file_that_was_cut_off_gives_what_it_holds(tmp_path, ending):
    rows = "".join(json.dumps({"text": f"row {n} {hash(str(n))}"}) + "\n" for n in range(20_000))
    compress = gzip.compress if ending == "gz" else zstandard.compress
    data = compress(rows.encode())
    (tmp_path / f"a.jsonl.{ending}").write_bytes(data[: len(data) // 2])
    texts, problems = split(read(tmp_path))
    assert 1000 < len(texts) < 20_000
    assert all(text.startswith("row ") for text in texts)
    assert "damaged or cut off" in problems[-1][1]
    assert read(tmp_path)[-1].suggestion.endswith("what could be read before this place is used")
    assert len(problems) <= 2


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_of_a_file_that_gives_nothing_nothing_is_said_to_be_used(tmp_path, ending):
    (tmp_path / "kept.txt").write_text("kept\n")
    path = tmp_path / f"a.txt.{ending}"
    path.write_bytes(b"no compressed data")
    rejected, _ = read(tmp_path)
    name = {"gz": "gzip", "zst": "zstandard"}[ending]
    assert rejected.problem == f"this is no {name} file, though its name ends in .{ending}"
    assert survey(tmp_path)[0].evidence == (rejected.problem,)
    compress = gzip.compress if ending == "gz" else zstandard.compress
    path.write_bytes(compress(b"geese " * 99)[:10])
    rejected, _ = read(tmp_path)
    assert "damaged or cut off" in rejected.problem
    assert "is used" not in rejected.suggestion


def test_of_compressed_data_all_before_the_damage_is_read(tmp_path):
    lines = [f"line {n} {hash(str(n))}\n" for n in range(2000)]
    whole = gzip.compress("".join(lines).encode())
    path = tmp_path / "a.txt.gz"
    for data, least in ((whole + b"garbage", 2000), (whole[:-20], 1900), (whole[:-1], 2000)):
        path.write_bytes(data)
        texts, ((_, problem),) = split(read(tmp_path))
        assert problem.startswith("the gzip data is damaged or cut off")
        text = "".join(texts)
        assert text.count("\n") >= least
        assert "".join(lines).startswith(text)
    frame = zstandard.compress("".join(lines).encode())
    for data, ending, times in (
        (whole + whole, "gz", 2),
        (whole + b"\0" * 1000, "gz", 1),
        (frame + frame, "zst", 2),
    ):
        path.unlink()
        path = path.with_suffix(f".{ending}")
        path.write_bytes(data)
        texts, problems = split(read(tmp_path))
        assert ("".join(texts), problems) == ("".join(lines) * times, [])
