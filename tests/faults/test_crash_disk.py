"""The crash file system: its own rules, a sample of its states, and every mistake it must find.

Sampled: all kills, one in 25 of the power losses, 40 lies; `make faults` builds all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.bench import Bench
from tests.faults.crash_disk import Crash, Entry, RecordingDisk, read_log, write_log
from tests.faults.crash_states import kills, power_losses
from tests.faults.mutants import MUTANTS, Mutant, run_mutant
from tests.faults.power import Amount, power


def written(folder: Path, *, sync_file: bool = False, sync_folder: bool = False) -> list[Entry]:
    """The log of one file `x` with b"12345678"."""
    disk = RecordingDisk(folder)
    file = disk.create(folder / "x")
    file.write(b"1234")
    file.write(b"5678")
    if sync_file:
        file.sync()
    file.close()
    if sync_folder:
        disk.sync_folder(folder)
    return disk.log


def found(log: list[Entry], crash: Crash, folder: Path) -> bytes | None:
    folder.mkdir()
    crash.build(log, folder)
    return (folder / "x").read_bytes() if (folder / "x").exists() else None


def after_power_loss(log: list[Entry], tmp_path: Path) -> set[bytes | None]:
    """What can be in `x` when power is lost after the whole log."""
    crashes = [crash for crash in power_losses(log, 200, 1) if crash.stop == len(log)]
    return {found(log, crash, tmp_path / str(n)) for n, crash in enumerate(crashes)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def test_nothing_unsynchronised_is_certain(tmp_path, source):
    results = after_power_loss(written(source), tmp_path)
    assert {None, b"", b"1234", b"\0\0\0\x005678", b"12345678", bytes(8)} <= results


def test_synchronised_data_is_whole_wherever_its_name_is(tmp_path, source):
    results = after_power_loss(written(source, sync_file=True), tmp_path)
    assert results == {None, b"12345678"}


def test_a_synchronised_name_may_have_no_data(tmp_path, source):
    results = after_power_loss(written(source, sync_folder=True), tmp_path)
    assert None not in results
    assert b"" in results


def test_what_is_synchronised_twice_is_certain(tmp_path, source):
    log = written(source, sync_file=True, sync_folder=True)
    assert after_power_loss(log, tmp_path) == set()
    assert found(log, Crash(len(log), "power", "", {}), tmp_path / "all") == b"12345678"


def test_a_kill_keeps_what_had_been_written(tmp_path, source):
    log = written(source)
    results = [found(log, crash, tmp_path / str(n)) for n, crash in enumerate(kills(log))]
    assert results == [None, b"", b"12", b"1234", b"123456", b"12345678"]


def test_an_unsynchronised_rename_is_atomic(tmp_path, source):
    disk = RecordingDisk(source)
    for name, data in (("x", b"old"), ("y", b"new")):
        file = disk.create(source / name)
        file.write(data)
        file.sync()
        file.close()
    disk.sync_folder(source)
    disk.rename(source / "y", source / "x")
    states = set()
    for number, crash in enumerate(power_losses(disk.log, 20, 1)):
        if crash.stop == len(disk.log):
            content = found(disk.log, crash, tmp_path / str(number))
            states.add((content, (tmp_path / str(number) / "y").exists()))
    assert states == {(b"old", True), (b"new", False)}


def test_a_log_survives_its_file(tmp_path, source):
    log = written(source, sync_file=True, sync_folder=True)
    write_log(log, tmp_path / "log")
    assert read_log(tmp_path / "log") == log


def test_no_crash_state_breaks_a_promise(bench: Bench):
    figures = power(bench, Amount(1, 40, every=25))
    assert figures.wrong == []
    assert figures.numbers["trials"] > 400


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mistake_is_caught(bench: Bench, mutant: Mutant):
    _, broken = run_mutant(mutant, bench, Amount(1, 60))
    assert broken is not None
