"""Sources in parts: prepared one by one or at once, and again only where they changed."""

import hashlib
import itertools
import os
import subprocess
import sys

import psutil
import pytest

from create_llm.data.documents import Document, Origin, Rejected
from create_llm.data.preparation.prepare import prepare
from create_llm.data.preparation.prepared import open_prepared
from create_llm.data.preparation.workers import _PROGRAM
from create_llm.data.source import SourcePart
from create_llm.errors import DataError, MemoryExhausted, PluginError

# What workers import: a module of its own, as a plugin's would be.
MODULE = '''
import hashlib, json, os, signal, time

from create_llm.data.documents import Document, Origin, Rejected
from create_llm.data.source import SourcePart
from create_llm.data.tokenizer import SpecialTokens
from create_llm.errors import DataError


class Bytes:
    """Ids are the bytes of the text, plus `shift`; 300 ends a document."""

    special = SpecialTokens(eos=300, named={"</s>": 300})
    vocab_size = 301

    def __init__(self, shift=0):
        self.shift = shift

    @classmethod
    def load(cls, folder):
        return cls(json.loads((folder / "tokenizer.json").read_text()))

    def save(self, folder):
        (folder / "tokenizer.json").write_text(json.dumps(self.shift))

    def encode_batch(self, texts):
        return [[byte + self.shift for byte in text.encode()] for text in texts]


class Groups:
    """Documents in groups; some texts are orders."""

    def __init__(self, groups):
        self.groups = groups

    def parts(self):
        return [
            SourcePart(f"group {n}", hashlib.sha256(repr(group).encode()).hexdigest())
            for n, group in enumerate(self.groups)
        ]

    def documents_in(self, part):
        number = int(part.name.split()[1])
        for line, text in enumerate(self.groups[number], start=1):
            if text == "KILL" and os.environ.get("KILL"):
                os.kill(os.getpid(), signal.SIGKILL)
            elif text == "HANG" and os.environ.get("HANG"):
                time.sleep(3600)
            elif text == "FAIL" and os.environ.get("FAIL"):
                raise DataError("a bad row", where="rows.csv:7", fixes=("mend it",))
            elif text == "BUG" and os.environ.get("BUG"):
                raise ZeroDivisionError("not the person's fault")
            elif text.startswith("BAD"):
                yield Rejected(Origin(part.name, line), "no text", "write some")
            else:
                yield Document.plain(text, Origin(part.name, line))

    def documents(self):
        for part in self.parts():
            yield from self.documents_in(part)

    def fingerprint(self):
        return hashlib.sha256(repr(self.groups).encode()).hexdigest()

    def total_bytes(self):
        return sum(len(text) for group in self.groups for text in group)
'''
GROUPS = [[f"Group {g}, document {n}: {'geese ' * (n % 5)}" for n in range(40)] for g in range(5)]


def left_over():
    """The processes that prepare parts; other tests of this process may have left theirs."""
    return [each for each in psutil.Process().children() if _PROGRAM in each.cmdline()]


@pytest.fixture
def outside(tmp_path, monkeypatch):
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "parts_for_workers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(folder)
    sys.modules.pop("parts_for_workers", None)
    yield __import__("parts_for_workers")
    sys.modules.pop("parts_for_workers", None)


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def shard_folders(folder):
    return {path.name: path.stat().st_ino for path in folder.glob("shards-*")}


def leftovers(folder):
    return [*folder.glob(".tmp-*"), *folder.glob(".old-*")]


def texts_of(data):
    """The texts of both sides, each in order."""
    sides = []
    for shards in (data.train, data.val):
        ids = shards.read(0, shards.tokens).tolist()
        assert ids[0] == ids[-1] == 300
        runs = [list(run) for end, run in itertools.groupby(ids, lambda i: i == 300) if not end]
        sides.append([bytes(run).decode() for run in runs])
    return sides


@pytest.mark.parametrize("deduplicate", [False, True])
def test_workers_change_no_byte(outside, tmp_path, deduplicate):
    groups = [*GROUPS, GROUPS[0], [GROUPS[1][3], "BAD row", GROUPS[1][3], "new " * 9]]
    options = {"val_split": 0.2, "deduplicate": deduplicate}
    snapshots = []
    for workers in (1, 2, 3):
        folder = tmp_path / str(workers)
        data = prepare(folder, outside.Groups(groups), outside.Bytes(), workers=workers, **options)
        assert data.rejected == 1
        snapshots.append(snapshot(folder))
    assert snapshots[0] == snapshots[1] == snapshots[2]
    assert not left_over()


def test_the_stream_does_not_depend_on_the_division(outside, tmp_path):
    def streams(groups):
        folder = tmp_path / str(len(groups))
        data = prepare(folder, outside.Groups(groups), outside.Bytes(), val_split=0.2)
        sides = (data.train, data.val)
        return [
            (
                side.read(0, side.tokens).tolist(),
                side.document_starts(0, side.documents).tolist(),
                side.bytes,
            )
            for side in sides
        ]

    texts = list(itertools.chain.from_iterable(GROUPS))[::5]
    groups = [texts[:3], texts[3:4], texts[4:30], texts[30:]]
    assert streams(groups) == streams([texts]) == streams([[text] for text in texts])


def test_a_change_redoes_only_the_part_that_changed(outside, tmp_path):
    prepare(tmp_path / "p", outside.Groups(GROUPS), outside.Bytes(), val_split=0.2)
    before = shard_folders(tmp_path / "p")
    changed = [*GROUPS[:2], [*GROUPS[2], "one more"], *GROUPS[3:]]
    data = prepare(tmp_path / "p", outside.Groups(changed), outside.Bytes(), val_split=0.2)
    after = shard_folders(tmp_path / "p")
    assert not data.cached
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1
    fresh = prepare(tmp_path / "f", outside.Groups(changed), outside.Bytes(), val_split=0.2)
    assert texts_of(data) == texts_of(fresh)


def test_another_tokenizer_redoes_all(outside, tmp_path):
    prepare(tmp_path, outside.Groups(GROUPS), outside.Bytes(), val_split=0.2)
    before = shard_folders(tmp_path)
    prepare(tmp_path, outside.Groups(GROUPS), outside.Bytes(shift=1), val_split=0.2)
    assert len(shard_folders(tmp_path)) == 2 * len(before)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_finished_before_an_error_is_not_done_again(
    outside, tmp_path, monkeypatch, workers
):
    groups = [*GROUPS[:4], [*GROUPS[4], "FAIL"]]
    options = {"val_split": 0.2, "workers": workers}
    with monkeypatch.context() as patch:
        patch.setenv("FAIL", "1")
        with pytest.raises(DataError, match="a bad row") as caught:
            prepare(tmp_path / "p", outside.Groups(groups), outside.Bytes(), **options)
    assert (caught.value.where, caught.value.fixes) == ("rows.csv:7", ("mend it",))
    before = shard_folders(tmp_path / "p")
    assert len(before) >= 3
    assert not leftovers(tmp_path / "p")
    told = []
    data = prepare(
        tmp_path / "p",
        outside.Groups(groups),
        outside.Bytes(),
        progress=lambda stage, done, total: told.append(done),
        **options,
    )
    assert before.items() <= shard_folders(tmp_path / "p").items()
    # The text that was there already counts as done.
    assert told[-1] == outside.Groups(groups).total_bytes()
    prepare(tmp_path / "f", outside.Groups(groups), outside.Bytes(), **options)
    assert snapshot(tmp_path / "p") == snapshot(tmp_path / "f")
    assert not data.cached


def test_a_killed_worker_is_told_in_plain_words(outside, tmp_path, monkeypatch):
    groups = [*GROUPS, ["KILL"]]
    monkeypatch.setenv("KILL", "1")
    with pytest.raises(MemoryExhausted, match="group 5 was killed") as caught:
        prepare(tmp_path, outside.Groups(groups), outside.Bytes(), val_split=0.2, workers=2)
    assert "what was finished is kept" in caught.value.fixes[0]
    assert not leftovers(tmp_path)
    assert not left_over()


def test_a_bug_in_a_worker_keeps_its_traceback(outside, tmp_path, monkeypatch):
    monkeypatch.setenv("BUG", "1")
    source = outside.Groups([*GROUPS, ["BUG"]])
    with pytest.raises(ZeroDivisionError) as caught:
        prepare(tmp_path, source, outside.Bytes(), val_split=0.2, workers=2)
    assert "documents_in" in caught.value.__notes__[0]


def test_an_interruption_ends_the_workers_and_keeps_what_is_finished(
    outside, tmp_path, monkeypatch
):
    calls = []
    monkeypatch.setenv("HANG", "1")

    def interrupted(stage, done, total):
        calls.append(done)
        if len(calls) == 3:
            raise KeyboardInterrupt

    source = outside.Groups([*GROUPS[:3], ["HANG"], GROUPS[3], ["HANG"]])
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, source, outside.Bytes(), val_split=0.2, workers=2, progress=interrupted)
    assert not left_over()
    assert not leftovers(tmp_path)
    with pytest.raises(DataError, match="not been prepared"):
        open_prepared(tmp_path)
    assert shard_folders(tmp_path)
    monkeypatch.delenv("HANG")
    prepare(tmp_path, source, outside.Bytes(), val_split=0.2, workers=2)
    assert open_prepared(tmp_path).train.documents > 100


def test_a_source_that_cannot_travel_is_said_so(outside, tmp_path):
    source = outside.Groups(GROUPS)
    source.opened = open(os.devnull)  # noqa: SIM115, PTH123
    with source.opened, pytest.raises(PluginError, match="handed to another process") as caught:
        prepare(tmp_path, source, outside.Bytes(), val_split=0.2, workers=2)
    assert "data.workers=1" in caught.value.fixes[0]


def test_a_script_needs_no_guard(outside, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from parts_for_workers import Bytes, Groups\n"
        "from create_llm.data.preparation.prepare import prepare\n"
        f"groups = {GROUPS!r}\n"
        f"data = prepare(Path({str(tmp_path / 'p')!r}), Groups(groups), Bytes(), val_split=0.2,\n"
        "               workers=2)\n"
        "print(data.train.documents + data.val.documents)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "modules")}
    ended = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=True
    )
    assert (ended.stdout, ended.stderr) == ("200\n", "")


def test_of_equal_documents_the_first_is_kept(outside, tmp_path):
    groups = [["a" * 50, "b" * 50, "a" * 50], ["c" * 50, "b" * 50, "d" * 50]]
    data = prepare(
        tmp_path, outside.Groups(groups), outside.Bytes(), val_split=0.5, deduplicate=True
    )
    assert sorted(itertools.chain.from_iterable(texts_of(data))) == [c * 50 for c in "abcd"]
    assert data.duplicates == 2
    assert open_prepared(tmp_path).duplicates == 2
    plain = prepare(tmp_path, outside.Groups(groups), outside.Bytes(), val_split=0.5)
    assert plain.key != data.key
    assert plain.train.documents + plain.val.documents == 6


def test_a_source_is_not_deduplicated_against_its_validation(outside, tmp_path):
    source, held = outside.Groups([["a" * 90, "b" * 90]]), outside.Groups([["a" * 90, "a" * 90]])
    data = prepare(
        tmp_path, source, outside.Bytes(), val_split=0.5, val_source=held, deduplicate=True
    )
    assert texts_of(data) == [["a" * 90, "b" * 90], ["a" * 90]]


def test_rejected_rows_are_counted_and_the_first_are_kept(outside, tmp_path):
    groups = [[*GROUPS[0], *["BAD"] * 4], [*GROUPS[1], *["BAD"] * 8]]
    made = prepare(tmp_path, outside.Groups(groups), outside.Bytes(), val_split=0.2)
    for data in (made, open_prepared(tmp_path)):
        assert data.rejected == 12
        assert len(data.rejections) == 5
        assert data.rejections[0] == Rejected(Origin("group 0", 41), "no text", "write some")
        assert data.rejections[4] == Rejected(Origin("group 1", 41), "no text", "write some")


def test_equal_parts_are_written_once_and_read_twice(outside, tmp_path):
    class Same:
        """Two parts that are one: their fingerprints are equal."""

        def parts(self):
            return [SourcePart(name, hashlib.sha256(b"same").hexdigest()) for name in "ab"]

        def documents_in(self, part):
            return (Document.plain(text, Origin("x", 1)) for text in GROUPS[0])

        def documents(self):
            return itertools.chain.from_iterable(self.documents_in(part) for part in self.parts())

        def fingerprint(self):
            return hashlib.sha256(b"same same").hexdigest()

        def total_bytes(self):
            return None

    data = prepare(tmp_path, Same(), outside.Bytes(), val_split=0.2)
    assert len(shard_folders(tmp_path)) == 1
    assert data.train.documents + data.val.documents == 2 * len(GROUPS[0])


def test_parts_that_changed_places_are_noticed_and_written_again(outside, tmp_path):
    prepare(tmp_path, outside.Groups(GROUPS), outside.Bytes(), val_split=0.2)
    before = snapshot(tmp_path)
    first, second = sorted(tmp_path.glob("shards-*"))[:2]
    first.rename(tmp_path / "aside")
    second.rename(first)
    (tmp_path / "aside").rename(second)
    with pytest.raises(DataError, match="is that of another part"):
        open_prepared(tmp_path)
    assert not prepare(tmp_path, outside.Groups(GROUPS), outside.Bytes(), val_split=0.2).cached
    assert snapshot(tmp_path) == before
