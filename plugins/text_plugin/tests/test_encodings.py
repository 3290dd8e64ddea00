"""Encodings: told from the bytes, with the reason in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from create_llm.data.documents import Document, Rejected
from create_llm_text.config import TextConfig
from create_llm_text.encodings import Utf8
from create_llm_text.source import TextSource

TEXT = "Grüße – “quoted”\nzweite Zeile: café\n"


def read(folder, data, name="a.txt"):
    """The text, the problems by line, and the evidence."""
    (folder / name).write_bytes(data)
    text = TextSource(TextConfig(train_path=name), folder)
    items = list(text.documents())
    (file,) = text.survey()
    documents = [item for item in items if isinstance(item, Document)]
    problems = [(i.origin.line, i.problem) for i in items if isinstance(i, Rejected)]
    return "".join(d.text for d in documents), problems, file.evidence


@pytest.mark.parametrize(
    ("data", "evidence"),
    [
        (TEXT.encode(), "UTF-8: the bytes that are not ASCII, from line 1 on, fit it"),
        (TEXT.encode("utf-8-sig"), "UTF-8: the file begins with its byte-order mark"),
        (TEXT.encode("utf-16"), "UTF-16 (little-endian): the file begins with its byte-order mark"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "UTF-16 (big-endian): the file begins with"),
        (TEXT.encode("utf-16-le"), "UTF-16 (little-endian): every other byte is NUL"),
        (TEXT.encode("utf-16-be"), "UTF-16 (big-endian): every other byte is NUL"),
        (
            TEXT.encode("cp1252"),
            "Windows-1252: byte 0xfc in line 1 is not UTF-8; it and the others are letters of",
        ),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_every_encoding_gives_the_same_text(tmp_path, data, evidence, ends):
    text, problems, told = read(tmp_path, data)
    assert (text, problems) == (TEXT, [])
    assert told[0].startswith(evidence)


def test_rows_of_other_encodings_are_read_too(tmp_path):
    rows = "id,text\n1,“é”\n2,plain\n"
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "cp1252"):
        text, problems, _ = read(tmp_path, rows.encode(encoding), "a.csv")
        assert (text, problems) == ("“é”plain", [])
        text, problems, _ = read(tmp_path, '[{"text": "“é”"}]'.encode(encoding), "a.json")
        assert (text, problems) == ("“é”", [])


def test_the_first_letter_that_is_not_ascii_may_come_late(tmp_path):
    before = "plain line\n" * 30_000
    text, problems, told = read(tmp_path, (before + TEXT * 4000).encode("cp1252"))
    assert (text, problems) == (before + TEXT * 4000, [])
    assert "in line 30001 is not UTF-8" in told[0]


@pytest.mark.parametrize(
    ("data", "problems", "kept"),
    [
        (
            "ü ü ü\nbad \xff\nü\n".encode("latin-1").replace(b"\xfc", "ü".encode()),
            [2],
            "ü ü ü\nü\n",
        ),
        (b"one\ntwo\x00three\nfour\n", [2], "one\nfour\n"),
        (b"one\ntwo \xed\xa0\x80\nfour\n", [2], "one\nfour\n"),
        (b"one\nends within a character \xe2\x82", [2], "one\n"),
        (b"caf\xe9 \x81\n" * 2 + b"caf\xe9\n" * 300, [1, 2], "café\n" * 300),
        ("one\nhalf \ud800\nü\n".encode("utf-16-le", "surrogatepass"), [2], "one\nü\n"),
        (b"\xff\xfea\x00\n\x00b\x00\n", [2], "a\n"),
    ],
)
def test_only_the_lines_that_are_not_text_are_lost(tmp_path, data, problems, kept):
    text, told, _ = read(tmp_path, data)
    assert text == kept
    assert [line for line, _ in told] == problems


def test_a_separated_document_that_is_not_text_is_told(tmp_path):
    (tmp_path / "a.txt").write_bytes("ü|two\n\0|three".encode())
    text = TextSource(TextConfig(train_path=".", separator="|"), tmp_path)
    first, told, last = text.documents()
    assert (first.text, last.text) == ("ü", "three")
    assert (told.origin.line, told.problem) == (2, "byte 0x00 is no text")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7\nsome text", "a PDF"),
        (b"PK\x03\x04" + b"text " * 50, "a ZIP archive"),
        (bytes(range(256)) * 40, "binary"),
        (bytes(5000), "binary"),
        (b"\x1f\x8b\x08" + bytes(range(128, 256)), "compressed with gzip"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_what_is_not_text_is_rejected_as_a_whole(tmp_path, data, kind, name):
    (tmp_path / name).write_bytes(data)
    (tmp_path / "b.txt").write_text("kept\n")
    told, kept = TextSource(TextConfig(train_path="."), tmp_path).documents()
    assert kind in told.problem
    assert kept.text == "kept\n"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60), st.integers(1, 9))
def test_utf8_stays_what_it_is_however_it_is_cut(text, size):
    data = text.removeprefix("\ufeff").encode()
    if data.startswith((b"PK", b"PAR1", b"GIF8", b"%PDF", b"BZh91AY")):
        return
    chunks = [data[place : place + size] for place in range(0, len(data), size)]
    assert b"".join(Utf8(chunks)) == data
