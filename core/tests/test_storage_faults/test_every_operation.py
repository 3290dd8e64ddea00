"""The checkpoint store when every single operation of its disk is killed or fails."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from storage_faulty_disk import LIMIT, FaultyDisk, Killed, hidden, open_store, save, valid

from create_llm.errors import StorageError
from create_llm.storage.durable import verify
from create_llm.storage.problems import with_retries


@functools.cache
def before():
    """A run with two checkpoints, of which the older one is the best."""
    folder = Path(tempfile.mkdtemp())
    store = open_store(folder / "run")
    for step in (10, 20):
        save(store, step)
    store.mark("best", 10, {"val_loss": 3.0})
    return folder


@pytest.fixture(scope="module", autouse=True)
def _tidy():
    yield
    shutil.rmtree(before())


def go_on(store):
    """What a run does next: each of the three writes that a store knows, and a replacement."""
    save(store, 30)
    yield "saved"
    store.mark("best", 30, {"val_loss": 2.0})
    yield "marked"
    store.rotate()
    save(store, 30)


@pytest.fixture
def trial(tmp_path):
    """Makes a store on a copy of `before`, with a disk that fails as told."""

    def make(bad=(), fault=None):
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        shutil.copytree(before(), folder, dirs_exist_ok=True)
        disk = FaultyDisk(bad, fault)
        return open_store(folder / "run", disk), disk

    return make


def check_after(store, done):
    """What must be true of a store that was just opened, whatever happened to the last one."""
    assert hidden(store.folder) == []
    verify(store.folder / "best")
    best = store.marked("best")
    assert best in ({"step": 10, "val_loss": 3.0}, {"step": 30, "val_loss": 2.0})
    assert (store.folder / "best" / "model").read_bytes() == b"%d" % best["step"] + b"x" * 9
    assert valid(store) == store.steps()
    assert len(store.steps()) >= LIMIT
    assert 20 in store.steps()
    if "saved" in done:
        assert 30 in store.steps()
    if "marked" in done:
        assert best["step"] == 30


def run_until_fault(store):
    """What had been done, and what then ended it."""
    done = []
    try:
        for name in go_on(store):
            done.append(name)
    except (Killed, OSError) as error:
        return done, error
    return done, None


def test_a_kill_at_any_operation_loses_nothing(trial):
    for number in count():
        store, disk = trial([number], Killed)
        done, error = run_until_fault(store)
        reopened = open_store(store.folder)
        check_after(reopened, done)
        run_until_fault(reopened)
        assert reopened.steps() == [20, 30]
        assert reopened.marked("best")["step"] == 30
        if error is None:
            break
    assert number == len(disk.log) > 50


def test_a_kill_while_healing_from_a_kill_loses_nothing(trial):
    for number in count():
        store, _ = trial([number], Killed)
        done, error = run_until_fault(store)
        for deeper in count():
            folder = store.folder.with_name(f"again-{deeper}")
            shutil.copytree(store.folder, folder)
            try:
                open_store(folder, FaultyDisk([deeper], Killed))
                break
            except Killed:
                check_after(open_store(folder), done)
        if error is None:
            break


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_an_error_at_any_operation_loses_nothing_and_names_its_file(trial, code):
    survived = 0
    for number in count():
        store, disk = trial([number], code)
        done, error = run_until_fault(store)
        if number == len(disk.log):
            break
        if error is None:
            survived += 1
        else:
            assert error.errno == code
            assert error.filename
        check_after(open_store(store.folder), done)
        assert run_until_fault(open_store(store.folder))[1] is None
    # A link that fails becomes a copy; what was replaced may stay until the next opening.
    operations = [entry[0] for entry in disk.log]
    assert operations.count("link") < survived < len(operations) / 3


@pytest.mark.parametrize("step", [20, 30], ids=["replaced", "new"])
def test_a_failed_save_leaves_nothing_temporary_at_once(trial, step):
    store, disk = trial()
    start = len(disk.log)
    save(store, step)
    last_sync = max(n for n, entry in enumerate(disk.log) if entry == ("sync_folder", "run"))
    for number in range(start, len(disk.log)):
        store, _ = trial([number], errno.EIO)
        with suppress(OSError):
            save(store, step)
            continue
        # Whether the new name is durable is not known then, so the old one waits aside.
        assert hidden(store.folder) == [] or (step == 20 and number < last_sync)
        assert valid(store) == store.steps()
        assert {10, 20} <= set(store.steps())


def test_a_full_disk_leaves_nothing_temporary(trial):
    """Everything fails from some operation on, except what frees space."""

    class Full(FaultyDisk):
        def operation(self, what, *paths):
            free = what in ("unlink", "remove_folder", "rename", "sync_folder")
            self.log.append(what)
            if len(self.log) > self.bad and not free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for room in count():
        store, _ = trial()
        store = open_store(store.folder, Full(room))
        done, error = run_until_fault(store)
        assert hidden(store.folder) == []
        check_after(store, done)
        if error is None:
            break
        assert error.errno == errno.ENOSPC
    assert room > 10


def test_one_error_that_passes_is_made_good_at_any_operation(trial):
    for number in count():
        store, disk = trial([number], errno.EIO)
        waited = []
        for action in (
            lambda: save(store, 30),  # noqa: B023
            lambda: store.mark("best", 30, {"val_loss": 2.0}),  # noqa: B023
            store.rotate,
        ):
            with_retries(action, wait=waited.append)
        assert store.steps() == [20, 30] == valid(store)
        assert store.marked("best")["step"] == 30
        assert waited in ([], [0.25])
        assert hidden(open_store(store.folder).folder) == []
        if number >= len(disk.log):
            break


def test_an_error_that_stays_ends_with_the_last_good_checkpoint_named(trial):
    store, _ = trial(range(10_000), errno.EIO)
    waited = []
    with pytest.raises(
        StorageError, match=r"the last good checkpoint is .*step-00000020"
    ) as caught:
        with_retries(lambda: save(store, 30), wait=waited.append, last_good=store.path(20))
    assert waited == [0.25, 1.0, 4.0]
    assert caught.value.exit_code == 74
    assert open_store(store.folder).steps() == [10, 20]


def test_a_file_whose_synchronisation_failed_is_never_synchronised_again(trial):
    store, disk = trial()
    save(store, 30)
    number = disk.log.index(("sync", "model"))
    store, disk = trial([number], errno.EIO)
    with_retries(lambda: save(store, 30), wait=lambda seconds: None)
    again = disk.log[number + 1 :]
    assert again.index(("create", "model")) < again.index(("sync", "model"))
    assert ("unlink", "model") in again[: again.index(("create", "model"))]
