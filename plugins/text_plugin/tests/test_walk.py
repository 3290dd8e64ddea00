"""A folder is walked once and each file hashed once, for as long as nothing changes."""

import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from create_llm.errors import DataError
from create_llm_text.config import TextConfig
from create_llm_text.files import stamp_of
from create_llm_text.source import TextSource

AN_HOUR_AGO = time.time() - 3600


def settle(folder):
    """Make all that is in there look as old as files usually are."""
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (AN_HOUR_AGO, AN_HOUR_AGO))


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b/c", "d"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / name / f"{number}.txt").write_text(f"text {number} of {name}\n")
    (tmp_path / "b" / "rows.jsonl").write_text('{"text": "a row"}\n')
    settle(tmp_path)
    return tmp_path


@pytest.fixture
def calls(monkeypatch):
    """How often a folder is listed and a file opened from now on."""
    counts = Counter()
    scan, opened = os.scandir, Path.open

    def counting_scan(path):
        counts["listed"] += 1
        return scan(path)

    def counting_open(path, *arguments, **options):
        counts["opened"] += 1
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "scandir", counting_scan)
    monkeypatch.setattr(Path, "open", counting_open)
    return counts


def source(folder):
    return TextSource(TextConfig(train_path="."), folder)


def all_of_it(folder):
    text = source(folder)
    text.validation()
    return [text.skipped, text.fingerprint(), text.parts()]


def test_a_folder_is_listed_once_and_each_file_hashed_once(folder, calls):
    first = all_of_it(folder)
    assert calls == {"listed": 5, "opened": 10}
    assert [all_of_it(folder), all_of_it(folder)] == [first, first]
    assert calls == {"listed": 5, "opened": 10}
    assert len(list(source(folder).documents())) == 10
    assert calls == {"listed": 5, "opened": 20}


def test_ten_thousand_small_files(tmp_path, calls):
    for folder in range(10):
        (tmp_path / str(folder)).mkdir()
        for number in range(1000):
            (tmp_path / str(folder) / f"{number}.txt").write_text(f"{folder} {number}\n")
    settle(tmp_path)
    calls.clear()
    documents = list(source(tmp_path).documents())
    assert len({document.text for document in documents}) == len(documents) == 10_000
    assert calls == {"listed": 11, "opened": 10_000}
    for _ in range(3):  # as in `llm train`: for the tokenizer, for the data, for the messages
        all_of_it(tmp_path)
        assert source(tmp_path).total_bytes() == sum(len(each.text) for each in documents)
    assert calls == {"listed": 11, "opened": 20_000}


def test_parts_are_read_without_listing_the_folder_again(folder, calls):
    text = source(folder)
    parts = text.parts()
    calls.clear()
    assert sum(len(list(text.documents_in(part))) for part in parts) == 10
    assert calls == {"opened": 10}


def added(folder):
    (folder / "b" / "c" / "new.txt").write_text("more\n")


def changed(folder):
    (folder / "a" / "1.txt").write_text("TEXT 1 of a\n")


def changed_a_while_ago(folder):
    changed(folder)
    os.utime(folder / "a" / "1.txt", (AN_HOUR_AGO + 60, AN_HOUR_AGO + 60))


def removed(folder):
    (folder / "d" / "2.txt").unlink()


def renamed(folder):
    (folder / "d" / "2.txt").rename(folder / "d" / "3.txt")


def replaced(folder):
    changed(folder)
    os.utime(folder / "a" / "1.txt", (AN_HOUR_AGO, AN_HOUR_AGO))
    (folder / "a" / "1.txt").rename(folder / "a" / "0.txt")


CHANGES = [added, changed, changed_a_while_ago, removed, renamed, replaced]


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_noticed_by_the_same_source(folder, change):
    text = source(folder)
    before, read = text.fingerprint(), [each.text for each in text.documents()]
    change(folder)
    assert text.fingerprint() != before
    if change is not renamed:
        assert [each.text for each in text.documents()] != read
    assert text.fingerprint() == source(folder).fingerprint()


def test_what_was_written_just_now_is_never_taken_for_known(tmp_path):
    """Two changes within one tick of the file system's clock look the same."""
    file = tmp_path / "a.txt"
    file.write_text("new\n")
    assert stamp_of(file.stat()) is None
    settle(tmp_path)
    assert stamp_of(file.stat()) is not None
    seen = set()
    for number in range(20):
        file.write_text(f"{number:02}\n")
        seen.add(source(tmp_path).fingerprint())
    assert len(seen) == 20


def test_the_files_of_a_part_that_changed_are_looked_up_again(folder):
    text = source(folder)
    (part,) = text.parts()
    changed(folder)
    assert "TEXT 1 of a\n" in [each.text for each in text.documents_in(part)]
    for path in folder.rglob("*.*"):
        path.unlink()
    (folder / "z.txt").write_text("other\n")
    with pytest.raises(DataError, match="changed while they were read"):
        text.documents_in(part)


def test_a_corpus_is_known_by_its_text_wherever_it_lies(folder, tmp_path_factory):
    there = tmp_path_factory.mktemp("there")
    for path in sorted(folder.rglob("*.*")):
        copy = there / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    assert source(there).fingerprint() == source(folder).fingerprint()


def test_folders_may_be_nested_deeper_than_calls(tmp_path):
    folders = [tmp_path]
    while len(folders) <= sys.getrecursionlimit():
        folders.append(folders[-1] / "x")
        folders[-1].mkdir()
    file = folders[-1] / "a.txt"
    file.write_text("deep\n")
    try:
        assert [each.text for each in source(tmp_path).documents()] == ["deep\n"]
    finally:  # pytest could not remove them
        file.unlink()
        for folder in reversed(folders[1:]):
            folder.rmdir()
