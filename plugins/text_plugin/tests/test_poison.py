"""What the worst of files do: counted, located, bounded in time and memory, never a hang."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from create_llm.data.documents import Document, Rejected
from create_llm.errors import ConfigError, DataError
from create_llm_text.compression import Content
from create_llm_text.config import TextConfig
from create_llm_text.source import TextSource

MB = 1 << 20

# In a process of its own: what a file costs beyond what the source takes with a small one.
PEAK = """
import gc, json, resource, sys
from pathlib import Path
from create_llm.data.documents import Rejected
from create_llm.errors import DataError
from create_llm_text.config import TextConfig
from create_llm_text.source import TextSource

def read(folder):
    kept, size, told = 0, 0, []
    try:
        for item in TextSource(TextConfig(train_path="."), Path(folder)).documents():
            if isinstance(item, Rejected):
                told.append([item.origin.line, item.problem])
            else:
                kept, size = kept + 1, size + len(item.text)
    except DataError as error:
        assert told, error
    return kept, size, told

read(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kept, size, told = read(sys.argv[2])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
result = {"kept": kept, "size": size, "told": told[:3], "rejected": len(told), "kilobytes": peak}
print(json.dumps(result))
"""


def peak(tmp_path, name, write):
    """What reading the file gives, and the memory it takes."""
    small, large = tmp_path / "small", tmp_path / "large"
    for folder in (small, large):
        folder.mkdir()
    (small / "a.jsonl").write_text('{"text": "a"}\n')
    (small / "b.json").write_text('[{"text": "a"}]\n')
    (small / "c.csv").write_text("text\na\n")
    (small / "d.txt").write_text("a\n")
    (small / "e.txt.zst").write_bytes(zstandard.compress(b"a\n"))
    with (large / name).open("wb") as file:
        write(file)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(small), str(large)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def long_row(before, after):
    def write(file):
        file.write(before)
        for _ in range(80):
            file.write(b"x" * MB)
        file.write(after)

    return write


LONG_ROWS = [
    ("a.jsonl", b'{"text": "a"}\n{"text": "', b'"}\n{"text": "b"}\n', 2),
    ("a.json", b'[{"text": "a"},\n{"text": "', b'"},\n{"text": "b"}]', 2),
    ("a.csv", b"id,text\n1,a\n2,", b"\n3,b\n", 3),
    ("b.csv", b'id,text\n1,a\n2,"', b'"\n3,b\n', 3),
]


@pytest.mark.parametrize(("name", "before", "after", "line"), LONG_ROWS)
def test_a_row_of_80_mb_is_passed_over_and_not_held(tmp_path, name, before, after, line):
    result = peak(tmp_path, name, long_row(before, after))
    assert (result["kept"], result["rejected"]) == (2, 1)
    assert result["told"] == [[line, "the row is longer than 64 MB"]]
    assert result["kilobytes"] < 150 * 1024  # what may be a row is held once, and joined once


def test_rows_of_a_json_file_that_a_row_of_80_mb_hides_are_said_to_be_possible(tmp_path):
    write = long_row(b'{"text": "', b'"}\n{"text": "b"}\n')
    write_into = tmp_path / "a.json"
    with write_into.open("wb") as file:
        write(file)
    config = TextConfig(train_path="a.json")
    with pytest.raises(DataError, match="begins with a row longer than 64 MB") as caught:
        list(TextSource(config, tmp_path).documents())
    assert ".jsonl" in caught.value.fixes[0]
    write_into.rename(tmp_path / "a.jsonl")
    items = list(TextSource(TextConfig(train_path="a.jsonl"), tmp_path).documents())
    assert [isinstance(item, Rejected) for item in items] == [True, False]


@pytest.mark.slow
def test_a_quote_that_is_never_closed_does_not_fill_the_memory(tmp_path):
    def write(file):
        file.write(b'id,text\n1,ok\n2,"open\n')
        file.write(b"3,a\n" * 360_000)

    result = peak(tmp_path, "a.csv", write)
    assert result["kept"] == 360_001
    ((line, problem),) = result["told"]
    assert line == 3
    assert problem.startswith("a quote is opened and not closed in ")
    assert result["kilobytes"] < 150 * 1024


def test_a_large_list_under_a_key_in_one_line_is_read_as_it_comes(tmp_path):
    def write(file):
        file.write(b'{"rows": [{"text": "first"}')
        for _ in range(160):
            file.write(b', {"text": "' + b"x" * (MB // 2) + b'"}')
        file.write(b"]}\n")

    result = peak(tmp_path, "a.json", write)
    assert (result["kept"], result["rejected"]) == (161, 0)
    assert result["kilobytes"] < 110 * 1024  # what tells it from objects one a line


def test_a_line_of_80_mb_of_plain_text_is_cut(tmp_path):
    result = peak(tmp_path, "a.txt", long_row(b"one\n", b"\ntwo"))
    assert result["size"] == 80 * MB + 8
    assert result["rejected"] == 0
    assert result["kilobytes"] < 8 * 1024


def test_a_list_of_any_length_is_not_held(tmp_path):
    def write(file):
        file.write(b"[")
        for number in range(60_000):
            file.write(json.dumps({"text": f"{number} " + "words " * 100}).encode() + b",\n")
        file.write(b'{"text": "last"}]')

    result = peak(tmp_path, "a.json", write)
    assert (result["kept"], result["rejected"]) == (60_001, 0)
    assert result["kilobytes"] < 8 * 1024


def bomb(kind, megabytes):
    def write(file):
        pack = zstandard.ZstdCompressor(3).compressobj() if kind == "zst" else None
        gz = gzip.GzipFile(fileobj=file, mode="wb", mtime=0) if kind == "gz" else None
        for _ in range(megabytes):
            line = b"x" * (MB - 1) + b"\n"
            file.write(pack.compress(line)) if pack else gz.write(line)
        file.write(pack.flush()) if pack else gz.close()

    return write


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_bomb_is_given_up(tmp_path, kind):
    result = peak(tmp_path, f"a.txt.{kind}", bomb(kind, 300))
    assert 55 * MB <= result["size"] <= 80 * MB
    ((line, problem),) = result["told"]
    assert 55 <= line <= 80
    assert problem.startswith("the file expands to more than 250 times its size")
    assert result["kilobytes"] < 24 * 1024


def test_a_file_name_that_is_not_utf8_can_be_printed(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("kept\n")
    text = TextSource(TextConfig(train_path="."), tmp_path)
    (document,) = text.documents()
    assert str(document.origin) == "caf\\udce9.txt:1"
    assert len(text.fingerprint()) == len(text.parts()[0].fingerprint) == 64


def test_nothing_that_never_ends_is_opened(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "kept"}\n')
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "sub").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.json.gz")
    text = TextSource(TextConfig(train_path="."), tmp_path)
    assert [document.text for document in text.documents()] == ["kept"]
    assert len(text.skipped) == 4


def test_a_file_that_vanishes_or_is_closed_is_rejected_and_the_others_are_read(
    tmp_path, monkeypatch
):
    for name in ("a.txt", "b.jsonl", "c.csv", "d.txt"):
        (tmp_path / name).write_text("kept\n")
    text = TextSource(TextConfig(train_path="."), tmp_path)
    opened = type(tmp_path).open

    def failing(path, *arguments, **options):
        if path.name != "d.txt":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(type(tmp_path), "open", failing)
    *told, kept = text.documents()
    assert [each.problem for each in told] == ["the file cannot be read: Permission denied"] * 3
    assert kept.text == "kept\n"
    assert len(text.fingerprint()) == 64
    assert [file.structure for file in text.survey()] == [None] * 3 + ["text"]


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.jsonl", "a.csv", "a.txt.gz", "a.parquet"])
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n \n"])
def test_an_empty_file_is_told(tmp_path, name, content):
    if content == b"\n \n" and name == "a.txt":
        return  # a text, if a short one
    (tmp_path / name).write_bytes(content)
    text = TextSource(TextConfig(train_path="."), tmp_path)
    told = []
    with pytest.raises(DataError, match=r"nothing in \. can be used"):
        told.extend(text.documents())
    (tmp_path / "b.txt").write_text("kept\n")
    told, kept = text.documents()
    assert isinstance(told, Rejected)
    assert kept.text == "kept\n"


pieces = st.one_of(
    st.sampled_from(
        [
            *(b"{}", b"[", b"]", b"{", b"}", b'"', b",", b":", b"\n", b"\r\n", b"\\", b"\\u"),
            *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\xff\xfe"),
            *(b"NaN", b"-Infinity", b"1e999", b"null", b'{"text": "a"}', b'{"text": "\\ud800"}'),
            *(b"text,id\n", b'"a"\n', b'a,"b\nc"\n', b";", b"\t", b"Question: a\n", b"Answer: b\n"),
            b'{"messages": [{"role": "user", "content": "a"}, {"from": "gpt", "value": "b"}]}',
            b'{"chosen": "a", "rejected": "b"}',
            b'{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}',
            b'{"messages": [{"role": "assistant", "content": [{"type": "text", "text": "a"}]}]}',
            b'{"messages": [{"role": "assistant", "content": "a", "weight": -1}]}',
            b'{"prompt": [{"role": "user", "content": "a"}], "chosen": [], "rejected": null}',
            b'{"instruction": "a", "input": "c", "output": "b"}',
            b'{"prompt": "a", "completion": "b"}',
            b"question,answer\n",
            b'{"rows": [{"question": "a", "answer": "b"}, ',
            b"[" * 80,
        ]
    ),
    st.binary(max_size=20),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.integers().map(lambda number: str(number).encode()),
)
contents = st.lists(pieces, max_size=30).map(b"".join)


def encoded(content, encoding):
    """The same in another encoding, as far as it can be written in that."""
    if encoding is None:
        return content
    return content.decode("utf-8", "replace").encode(encoding, "ignore")


NAMES = ["a.txt", "a.md", "a.json", "a.jsonl", "a.ndjson", "a.csv", "a.tsv", "a.parquet"]


@settings(deadline=None, max_examples=300)
@example("a.csv", b"\r\x00", None, "", None, {})
@given(
    st.sampled_from(NAMES),
    contents,
    st.sampled_from([None, None, "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "cp1252"]),
    st.sampled_from(["", ".gz", ".zst"]),
    st.one_of(st.none(), st.integers(0, 60)),
    st.sampled_from([{}, {"separator": "a"}, {"columns": {"text": "text"}}]),
)
def test_every_reader_survives_anything(
    tmp_path_factory, name, content, encoding, ending, cut, options
):
    folder = tmp_path_factory.mktemp("fuzz")
    ending = "" if name == "a.parquet" else ending
    compress = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[ending]
    (folder / (name + ending)).write_bytes(compress(encoded(content, encoding))[:cut])
    (folder / "kept.txt").write_text("kept\n")
    text = TextSource(TextConfig(train_path=".", **options), folder)
    try:
        items = list(text.documents())
        surveys = list(text.survey())
    except ConfigError:
        assert options.get("columns")
        return
    assert items[-1].text.strip() == "kept"
    assert len(surveys) == 2
    assert text.total_bytes() is None or text.total_bytes() >= 0
    for item in items:
        assert item.origin.line >= 1
        if isinstance(item, Document):
            assert all(segment.text.encode() for segment in item.segments)
            assert "\0" not in item.text
            assert item.meta["structure"] in {s.structure for s in surveys}
        else:
            assert item.problem
            assert item.suggestion
    assert sum(len(list(text.documents_in(part))) for part in text.parts()) == len(items)


printable = st.one_of(
    st.characters(exclude_categories=["Cs", "Cc"]), st.sampled_from(["\n", "\r\n", "\t", '"', ","])
)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.lists(printable, max_size=30).map("".join), min_size=1),
    st.sampled_from(["jsonl", "json", "pretty", "csv"]),
)
def test_every_row_is_kept_or_told(tmp_path_factory, texts, form):
    folder = tmp_path_factory.mktemp("rows")
    rows = [{"text": "first", "n": 0}, *({"text": text, "n": n} for n, text in enumerate(texts))]
    if form == "csv":
        import csv

        with (folder / "a.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(["text", "n"])
            writer.writerows([row["text"], row["n"]] for row in rows)
    elif form == "jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    else:
        indent = 1 if form == "pretty" else None
        (folder / "a.json").write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    items = list(TextSource(TextConfig(train_path="."), folder).documents())
    assert len(items) == len(rows)
    for item, row in zip(items, rows, strict=True):
        text = row["text"]
        if form == "csv":  # where line ends are made one, as in plain text
            text = text.replace("\r\n", "\n")
        assert (item.text == text) if text.strip() else isinstance(item, Rejected)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file whose reading fails: /proc")
def test_a_file_whose_reading_fails_is_not_taken_for_a_bad_one():
    with pytest.raises(DataError, match="reading failed: Input/output error"):
        list(Content(Path("/proc/self/mem"), None))


def test_a_parquet_file_whose_reading_fails_is_not_taken_for_a_bad_one(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": [f"row {n}" for n in range(200)]}), path)

    class Failing(parquet.ParquetFile):
        """As on a disk, or a network share, that goes away."""

        def iter_batches(self, batch_size):
            yield next(super().iter_batches(batch_size))
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(parquet, "ParquetFile", Failing)
    with pytest.raises(DataError, match="reading failed: Input/output error"):
        list(TextSource(TextConfig(train_path="a.parquet"), tmp_path).documents())
