"""The checkpoint store: found, verified, marked and rotated with care."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from create_llm.errors import DataError
from create_llm.storage import checkpoints
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.disk import Disk
from create_llm.storage.durable import Storage, verify

DEAD = 999_999_999


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "run", limit=3, storage=Storage())


def save(store, step):
    with store.commit(step) as writer:
        writer.write("state", [str(step).encode()])
    store.rotate()


def test_rotation_keeps_the_newest_and_what_is_marked(store):
    for step in (10, 20):
        save(store, step)
    store.mark("best", 10, {"val_loss": 2.5})
    for step in (30, 40, 50):
        save(store, step)
    assert store.steps() == [30, 40, 50]
    assert (store.folder / "best" / "state").read_bytes() == b"10"
    assert store.marked("best") == {"step": 10, "val_loss": 2.5}
    verify(store.folder / "best")


def test_rotation_stops_when_the_newest_is_damaged(store):
    for step in (10, 20, 30):
        save(store, step)
    with store.commit(40) as writer:
        writer.write("state", [b"40"])
    (store.path(40) / "state").write_bytes(b"xx")
    with pytest.raises(DataError):
        store.rotate()
    assert store.steps() == [10, 20, 30, 40]


def test_a_limit_below_two_still_keeps_two(tmp_path):
    store = CheckpointStore(tmp_path / "run", limit=0, storage=Storage())
    for step in (1, 2, 3):
        save(store, step)
    assert store.steps() == [2, 3]


def test_the_newest_valid_checkpoint_is_found_and_damage_is_told(store):
    for step in (10, 20, 30):
        save(store, step)
    (store.path(30) / "state").write_bytes(b"xx")
    told = []
    assert store.newest_valid(told.append) == 20
    assert len(told) == 1
    assert "step-00000030" in told[0].what


def test_a_folder_moved_aside_comes_back_unless_it_has_a_successor(store):
    save(store, 10)
    store.mark("best", 10, {})
    aside = store.folder / f".old-best-{DEAD}"
    (store.folder / "best").rename(aside)
    assert CheckpointStore(store.folder, 3, Storage()).marked("best") == {"step": 10}
    (store.folder / "best").rename(aside)
    store.mark("best", 10, {"again": True})
    assert store.marked("best") == {"step": 10, "again": True}
    assert sorted(path.name for path in store.folder.iterdir()) == ["best", "step-00000010"]


def test_two_who_heal_at_once_do_not_disturb_each_other(store, monkeypatch):
    save(store, 10)
    store.path(10).rename(store.folder / f".old-step-00000010-{DEAD}")
    real = Disk.rename

    def after_another(disk, source, target):
        real(disk, source, target)
        real(disk, source, target)

    monkeypatch.setattr(Disk, "rename", after_another)
    assert CheckpointStore(store.folder, 3, Storage()).steps() == [10]


def test_damaged_checkpoints_do_not_count_in_rotation(tmp_path):
    store = CheckpointStore(tmp_path / "run", 2, Storage())
    for step in (10, 20, 30, 40, 50):
        with store.commit(step) as writer:
            writer.write("state", [b"1"])
    for step in (50, 30):
        (store.path(step) / "state").write_bytes(b"2")
    reopened = CheckpointStore(store.folder, 2, Storage())
    reopened.rotate()
    assert reopened.steps() == [20, 30, 40, 50]
    # A run that goes on from 40 commits below the damaged 50, which stops nothing.
    save(reopened, 45)
    assert reopened.steps() == [40, 45, 50]


def test_rotation_hashes_the_newest_each_time_and_the_others_once(store, monkeypatch):
    hashed = []
    monkeypatch.setattr(
        checkpoints, "verify", lambda path: (hashed.append(path.name), verify(path))
    )
    for step in (1, 2, 3, 4, 5):
        save(store, step)
    assert hashed == [f"step-0000000{step}" for step in (4, 3, 2, 5)]
    hashed.clear()
    (store.path(4) / "state").write_bytes(b"x")
    save(store, 6)
    assert store.steps() == [3, 4, 5, 6]
    assert "step-00000004" in hashed
    assert "step-00000005" not in hashed


def test_rotation_touches_nothing_of_another_run(store):
    other = CheckpointStore(store.folder.with_name("run-2"), 3, Storage())
    save(other, 1)
    for step in (1, 2, 3, 4):
        save(store, step)
    assert store.steps() == [2, 3, 4]
    assert other.steps() == [1]


def test_a_file_called_like_a_checkpoint_is_none(store):
    save(store, 10)
    (store.folder / "step-00000020").touch()
    assert store.newest_valid(pytest.fail) == 10


def test_a_mark_that_is_not_what_was_written_says_so(store):
    save(store, 10)
    store.mark("best", 10, {"val_loss": 2.5})
    path = store.folder / "best" / "mark.json"
    written = path.read_bytes()
    flipped = [bytes([*written[:at], written[at] ^ 1, *written[at + 1 :]]) for at in range(20)]
    for data in (b"", b"[]", written[:-1], *flipped):
        path.write_bytes(data)
        with pytest.raises(DataError, match="best is damaged"):
            store.marked("best")
    path.unlink()
    with pytest.raises(DataError, match=r"mark\.json is missing"):
        store.marked("best")


def test_a_thread_may_write_while_others_read(store):
    save(store, 1)
    store.mark("best", 1, {})

    def write():
        for step in range(2, 40):
            save(store, step)
            store.mark("best", step, {})

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        newest = 0
        while not writing.done():
            best = store.marked("best")["step"]
            assert newest <= (newest := store.newest_valid(pytest.fail)) <= 39
            assert best <= newest
            assert "best" in store.names()
        writing.result()
    assert store.steps() == [37, 38, 39]


def test_where_files_cannot_be_linked_they_are_copied(store, monkeypatch):
    def refuse(disk, source, target):
        raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))

    monkeypatch.setattr(Disk, "link", refuse)
    save(store, 10)
    store.mark("best", 10, {})
    assert verify(store.folder / "best").keys() == {"state", "mark.json"}
    assert not (store.folder / "best" / "state").samefile(store.path(10) / "state")
    monkeypatch.undo()
    store.mark("final", 10, {})
    assert (store.folder / "final" / "state").samefile(store.path(10) / "state")


def test_what_is_later_is_forgotten_and_a_marked_step_found_again(store):
    for step in (10, 20):
        save(store, step)
    store.mark("best", 10, {"val_loss": 2.5})
    for step in (30, 40, 50):
        save(store, step)
    store.mark("final", 50, {})
    store.recall("best")
    assert store.steps() == [10, 30, 40, 50]
    verify(store.path(10))
    assert (store.path(10) / "state").read_bytes() == b"10"
    assert not (store.path(10) / "mark.json").exists()
    assert store.newest_valid(lambda error: None, 29) == 10
    store.forget_after(30)
    assert store.names() == ["step-00000010", "step-00000030", "best"]
    store.forget_after(0)
    assert store.names() == []
    assert list(store.folder.iterdir()) == []


def test_a_marked_step_that_is_damaged_is_not_brought_back(store):
    save(store, 10)
    store.mark("best", 10, {})
    for step in (20, 30, 40):
        save(store, step)
    (store.folder / "best" / "state").write_bytes(b"xx")
    with pytest.raises(DataError):
        store.recall("best")
    assert store.steps() == [20, 30, 40]
