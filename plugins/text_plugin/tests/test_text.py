"""The source `text`: what is read, what is passed over, and how files become documents."""

import itertools
import os
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from create_llm.data.preparation.prepare import prepare
from create_llm.data.split import is_validation, working_fraction
from create_llm.data.tokenizer import SpecialTokens
from create_llm.errors import ConfigError, DataError
from create_llm_text.compression import Content
from create_llm_text.config import TextConfig
from create_llm_text.pieces import read_blocks, read_separated
from create_llm_text.source import TextSource


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "data" / "raw"
    folder.mkdir(parents=True)
    return folder


def source(root, **options):
    return TextSource(TextConfig(**options), root)


def texts(root, **options):
    return [document.text for document in source(root, **options).documents()]


def origins(root, **options):
    return [str(document.origin) for document in source(root, **options).documents()]


def test_files_of_a_folder_come_in_the_order_of_their_paths(tmp_path, raw):
    (raw / "sub").mkdir()
    for name in ("b.txt", "a.md", "sub/c.TXT", "z.txt"):
        (raw / name).write_text(f"this is {name}\n")
    assert texts(tmp_path) == [
        f"this is {name}\n" for name in ("a.md", "b.txt", "sub/c.TXT", "z.txt")
    ]
    assert origins(tmp_path)[2] == "data/raw/sub/c.TXT:1"
    assert source(tmp_path).total_bytes() == sum(len(text) for text in texts(tmp_path))


def test_a_file_may_be_named_and_lie_anywhere(tmp_path):
    path = tmp_path / "elsewhere.corpus"
    path.write_text("named\n")
    root = tmp_path / "project"
    assert texts(root, train_path=str(path)) == ["named\n"]
    assert origins(root, train_path=str(path)) == [f"{path.as_posix()}:1"]


def test_what_is_no_text_is_passed_over_and_listed(tmp_path, raw):
    (raw / "a.txt").write_text("kept\n")
    (raw / "README.md").write_text("about this folder\n")
    (raw / "picture.svg").write_text("<svg/>\n")
    (raw / "table.parquet.gz").write_text("")
    (raw / ".hidden.txt").write_text("hidden\n")
    (raw / ".gitkeep").touch()
    (raw / "sub").mkdir()
    (raw / "sub" / "README.md").write_text("a text like others\n")
    assert texts(tmp_path) == ["kept\n", "a text like others\n"]
    assert source(tmp_path).skipped == [
        "README.md (describes the folder)",
        "picture.svg (not text or data)",
        "table.parquet.gz (not text or data)",
    ]


def test_links_and_pipes_are_never_followed_to_where_they_do_not_end(tmp_path, raw):
    (raw / "a.txt").write_text("kept\n")
    outside = tmp_path / "secret.txt"
    outside.write_text("outside\n")
    (raw / "out.txt").symlink_to(outside)
    (raw / "zero.txt").symlink_to("/dev/zero")
    (raw / "gone.txt").symlink_to(raw / "missing.txt")
    (raw / "self.txt").symlink_to(raw / "self.txt")
    (raw / "loop").symlink_to(raw)
    (raw / "parent").symlink_to(tmp_path)
    os.mkfifo(raw / "pipe.txt")
    assert texts(tmp_path) == ["kept\n"]
    assert source(tmp_path).skipped == [
        "gone.txt (a link that leads nowhere)",
        "loop (a link to a folder)",
        "out.txt (a link that leaves the folder)",
        "parent (a link that leaves the folder)",
        "pipe.txt (not a regular file)",
        "self.txt (a link that leads nowhere)",
        "zero.txt (a link that leaves the folder)",
    ]


def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.txt").write_text("far away\n")
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    assert texts(tmp_path, train_path="data") == ["far away\n"]


@pytest.mark.parametrize("make", ["nothing", "empty", "other", "pipe"])
def test_no_text_is_an_error_that_says_what_to_do(tmp_path, make):
    raw = tmp_path / "data" / "raw"
    if make == "pipe":
        raw.parent.mkdir()
        os.mkfifo(raw)
    elif make != "nothing":
        raw.mkdir(parents=True)
    if make == "other":
        (raw / "image.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match="data/raw") as caught:
        texts(tmp_path)
    assert caught.value.exit_code == 65
    assert any("data/raw" in fix for fix in caught.value.fixes)
    assert any("llm quickstart" in fix for fix in caught.value.fixes)
    assert make != "other" or "image.png" in caught.value.what


def test_windows_line_ends_and_byte_order_marks_leave_no_trace(tmp_path, raw):
    plain = "first\nsecond ünï\n" * 5000
    (raw / "a.txt").write_bytes(b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").encode())
    assert "".join(texts(tmp_path)) == plain
    for size in range((1 << 16) - 2, (1 << 16) + 6):  # around the size of a read
        (raw / "a.txt").write_bytes(b"x" * size + b"\r\ny")
        assert "".join(texts(tmp_path)) == "x" * size + "\ny"
    (raw / "a.txt").write_bytes(b"a\r\n")
    assert texts(tmp_path) == ["a\n"]
    (raw / "a.txt").write_bytes(b"a\rb\r")
    assert texts(tmp_path) == ["a\rb\r"]


lines = st.lists(
    st.sampled_from(["", "short", "ünïcödé ☃ 👩‍👧", "x" * 300, "☃" * 300, "\r", "\u2028", "a\rb"]),
    max_size=60,
)


@settings(deadline=None)
@given(lines, st.integers(256, 1024), st.booleans())
def test_blocks_joined_are_the_file(tmp_path_factory, lines, limit, final_newline):
    text = "\n".join(lines) + "\n" * final_newline
    path = tmp_path_factory.mktemp("blocks") / "a.txt"
    path.write_bytes(text.encode())
    pieces = list(read_blocks(Content(path, None), limit))
    # A return before the line feed is part of the line end.
    expected = text.replace("\r\n", "\n")
    assert "".join(piece.text for piece in pieces) == expected
    line = 1
    for piece in pieces:
        assert 0 < len(piece.text.encode()) <= limit
        assert piece.line == line
        line += piece.text.count("\n")
    for piece, following in itertools.pairwise(pieces):
        whole = piece.text.endswith("\n")
        assert whole or "\n" not in piece.text, "a block that is cut within a line holds no other"
        assert whole or len(piece.text.encode()) > limit - 4
        first_line = following.text.partition("\n")[0].encode()
        # A line that is cut ends on a character, which may be three bytes short of the limit.
        assert len(piece.text.encode()) + len(first_line) + 1 > limit - 4 or not whole


def test_lines_end_only_at_line_feeds(tmp_path, raw):
    (raw / "a.txt").write_text("one\u2028still one\x0cstill\x85one\ntwo\n", newline="\n")
    (raw / "b.txt").write_text("x" * 300 + "\n" + "y" * 250)
    assert origins(tmp_path) == [
        "data/raw/a.txt:1",
        "data/raw/b.txt:1",
        "data/raw/b.txt:1",
        "data/raw/b.txt:2",
    ]


@pytest.mark.parametrize(("size", "block"), [(1000, 256), (64_000, 1000), (8_000_000, 16_384)])
def test_blocks_are_smaller_where_there_is_little_text(tmp_path, raw, size, block):
    (raw / "a.txt").write_text("ten bytes\n" * (size // 10))
    sizes = [len(text) for text in texts(tmp_path)]
    assert block - 10 <= max(sizes) <= block
    assert sum(sizes) == size


def test_one_small_file_can_be_divided(tmp_path, raw):
    (raw / "a.txt").write_text("".join(f"line {number}\n" for number in range(60)))
    documents = texts(tmp_path)
    fraction = working_fraction(documents, 0.1)
    assert {is_validation(text, fraction) for text in documents} == {True, False}


def test_a_separator_divides_instead_of_blocks(tmp_path, raw):
    (raw / "a.txt").write_text(
        "first\nstory\n<|endoftext|>\nsecond <|endoftext|><|endoftext|>\n \n<|endoftext|>\n\nthird"
    )
    separator = "<|endoftext|>"
    assert texts(tmp_path, separator=separator) == ["first\nstory", "second ", "third"]
    assert [o.rpartition(":")[2] for o in origins(tmp_path, separator=separator)] == ["1", "4", "8"]


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("a☃\n-"), max_size=90), max_size=12), st.integers(256, 300))
def test_separated_documents_are_those_that_were_joined(tmp_path_factory, documents, limit):
    documents = [document.replace("==", "") for document in documents]
    path = tmp_path_factory.mktemp("separated") / "a.txt"
    path.write_bytes("====".join(documents).encode())
    expected = [d.strip("\n") for d in documents if d.strip()]
    chunks = iter(Content(path, None))
    assert [piece.text for piece in read_separated(chunks, limit, "====")] == expected


def test_a_separator_may_hold_line_ends(tmp_path, raw):
    (raw / "a.txt").write_bytes(b"one\r\n\r\n\r\ntwo\r\n\r\n\r\nthree\r\n")
    assert texts(tmp_path, separator="\n\n\n") == ["one", "two", "three"]


def test_a_separator_that_never_comes_does_not_fill_the_memory(tmp_path, raw):
    (raw / "a.txt").write_text("no separator here\n" * 120_000)
    sizes = [len(text) for text in texts(tmp_path, separator="@@@")]
    assert max(sizes) <= 1 << 20
    assert len(sizes) == 3


def test_the_fingerprint_follows_names_contents_and_options(tmp_path, raw):
    (raw / "a.txt").write_text("some text\n")
    seen = [source(tmp_path).fingerprint()]
    seen.append(source(tmp_path, separator="|").fingerprint())
    (raw / "a.txt").write_text("other text\n")
    seen.append(source(tmp_path).fingerprint())
    (raw / "a.txt").rename(raw / "b.txt")
    seen.append(source(tmp_path).fingerprint())
    (raw / "c.txt").touch()
    seen.append(source(tmp_path).fingerprint())
    assert len(set(seen)) == len(seen)
    assert source(tmp_path).fingerprint() == seen[-1]
    (raw / "image.png").touch()
    assert source(tmp_path).fingerprint() == seen[-1]


def test_a_corpus_is_the_same_one_wherever_it_lies(tmp_path):
    for place in ("here", "there"):
        (tmp_path / place / "data" / "raw").mkdir(parents=True)
        (tmp_path / place / "data" / "raw" / "a.txt").write_text("same\n")
    assert source(tmp_path / "here").fingerprint() == source(tmp_path / "there").fingerprint()


def test_validation_text_is_read_apart(tmp_path, raw):
    (raw / "learn.txt").write_text("to learn from\n")
    (raw / "val.txt").write_text("to be scored on\n")
    whole = source(tmp_path, val_path="data/raw/val.txt")
    assert [document.text for document in whole.documents()] == ["to learn from\n"]
    assert [document.text for document in whole.validation().documents()] == ["to be scored on\n"]
    assert whole.skipped == ["val.txt (kept for validation)"]
    assert whole.validation().validation() is None
    assert source(tmp_path).validation() is None


class Lines:
    """One id a line: tokens enough to prepare with."""

    vocab_size, special = 8, SpecialTokens(eos=0, named={"</s>": 0})

    def encode_batch(self, texts):
        return [[7] * text.count("\n") for text in texts]

    def save(self, folder):
        (folder / "tokenizer.json").write_text("{}")


@pytest.mark.parametrize("shape", ["lines", "one line"])
def test_memory_does_not_grow_with_the_corpus(tmp_path, shape):
    def peak(megabytes):
        root = tmp_path / str(megabytes)
        (root / "data" / "raw").mkdir(parents=True)
        end = "\n" if shape == "lines" else " "
        with (root / "data" / "raw" / "a.txt").open("w") as file:
            for number in range(megabytes << 14):
                file.write(f"{number:<63}{end}")
        tracemalloc.start()
        prepare(root / "data" / "processed", source(root), Lines(), val_split=0.1)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(16) - peak(4) < 2e6


def test_the_plugin_is_light_and_its_part_resolves():
    code = (
        "import sys, create_llm_text.plugin; "
        "heavy = {'pydantic', 'torch', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    from create_llm.kernel.plugins import load_plugins

    part = load_plugins({"CREATE_LLM_PLUGINS": "text"}).registry.get("data_sources", "text")
    assert (part.load(), part.config_model()) == (TextSource, TextConfig)


@pytest.mark.parametrize("val_path", ["data/raw/a.txt", "data/raw/again.txt", "data/raw"])
def test_a_file_is_not_validated_on_itself(tmp_path, val_path):
    raw = tmp_path / "data/raw"
    raw.mkdir(parents=True)
    (raw / "a.txt").write_text("geese\n" * 99)
    (raw / "again.txt").hardlink_to(raw / "a.txt")
    (tmp_path / "other.txt").write_text("swans\n" * 99)
    with pytest.raises(ConfigError, match="the file that is trained on"):
        source(tmp_path, train_path="data/raw/a.txt", val_path=val_path).validation()
    apart = source(tmp_path, train_path="data/raw/a.txt", val_path="other.txt").validation()
    assert apart is not None


def test_the_files_of_a_source_have_one_name_however_it_was_found(tmp_path):
    raw = tmp_path / "data" / "raw"
    (raw / "deep").mkdir(parents=True)
    (raw / "deep" / "a.txt").write_text("a text")
    (tmp_path / "link").symlink_to(raw / "deep")
    wanted = [str((raw / "deep" / "a.txt").resolve())]
    for path in ("data/raw", "link", "data/raw/deep/a.txt", "link/a.txt", "./data/../data/raw"):
        assert list(source(tmp_path, train_path=path).files()) == wanted
