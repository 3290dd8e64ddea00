"""Events as readers see them, control requests, locks, what is known of a run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from datetime import datetime, timedelta

import pytest

from create_llm.errors import LockedError
from create_llm.runs.again import resume_command
from create_llm.runs.control import Control, Request
from create_llm.runs.events import EpochStart, EventLog, RunWarning, StepEnd, read_events
from create_llm.runs.lock import RunLock, is_held
from create_llm.runs.report import disk_bytes, progress_of, report
from create_llm.runs.run import new_run, run_folder, runs_of
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from create_llm.storage.locks import try_lock, unlock


def step(**changes):
    fields = dict.fromkeys(
        ("loss", "learning_rate", "tokens_per_second", "grad_norm", "eta_seconds", "epoch"), 1.0
    )
    return StepEnd(**{**fields, "step": 1, "tokens": 2, "memory_bytes": 3, **changes})


def test_each_event_is_a_line_and_the_first_carries_the_schema(tmp_path):
    log = EventLog(tmp_path / "events.jsonl", session=2)
    log.append(EpochStart(step=0, epoch=1))
    log.append(step())
    log.close()
    first, second = (json.loads(line) for line in (tmp_path / "events.jsonl").open())
    assert (first["schema"], first["event"], first["session"]) == (1, "epoch_start", 2)
    assert (second["event"], second["loss"], second["step"]) == ("step", 1.0, 1)
    assert "schema" not in second
    assert datetime.fromisoformat(second["time"]).utcoffset().total_seconds() == 0


def test_a_number_that_is_not_finite_is_null_and_marked(tmp_path):
    log = EventLog(tmp_path / "e", session=1)
    log.append(step(loss=float("nan"), grad_norm=float("inf")))
    (line,) = read_events(tmp_path / "e")
    assert (line["loss"], line["grad_norm"], line["nonfinite"]) == (None, None, True)
    log.append(step())
    assert "nonfinite" not in list(read_events(tmp_path / "e"))[1]


def test_a_torn_last_line_is_skipped_and_not_glued_to_the_next(tmp_path):
    path = tmp_path / "e"
    EventLog(path, session=1).append(EpochStart(step=0, epoch=1))
    with path.open("a") as file:
        file.write('{"event": "st')
    assert [line["event"] for line in read_events(path)] == ["epoch_start"]
    EventLog(path, session=2).append(EpochStart(step=5, epoch=1))
    assert [line["session"] for line in read_events(path)] == [1, 2]


def test_unicode_line_separators_do_not_break_a_line(tmp_path):
    log = EventLog(tmp_path / "e", session=1)
    log.append(RunWarning(step=0, message="a\u2028b\nc"))
    (line,) = read_events(tmp_path / "e")
    assert line["message"] == "a\u2028b\nc"


def test_requests_reach_the_run_once(tmp_path):
    sender, receiver = Control(tmp_path), Control(tmp_path)
    assert receiver.pending() == set()
    sender.send(Request.PAUSE)
    assert receiver.pending() == {Request.PAUSE}
    receiver.answered(Request.PAUSE)
    assert receiver.pending() == set()
    sender.send(Request.STOP)
    receiver.clear()
    assert receiver.pending() == set()


def test_a_second_process_is_refused_and_told_who_holds_the_run(tmp_path):
    code = (
        "import sys; from pathlib import Path; from create_llm.runs.lock import RunLock, is_held\n"
        "with RunLock(Path(sys.argv[1])): pass"
    )
    with RunLock(tmp_path):
        refused = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
        )
        assert refused.returncode != 0
        assert f"pid {os.getpid()}" in refused.stderr
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_a_lock_error_says_what_to_do(tmp_path):
    with RunLock(tmp_path), pytest.raises(LockedError) as caught, RunLock(tmp_path):
        pass
    assert caught.value.exit_code == 75
    assert len(caught.value.fixes) == 2


def named_in_lock(folder, holder):
    """What is told of a lock that somebody else holds."""
    with RunLock(folder):
        (folder / "lock").write_text(holder)
        with pytest.raises(LockedError) as caught, RunLock(folder):
            pass
    return caught.value.render()


def test_who_only_asks_whether_a_run_is_live_keeps_nobody_from_it(tmp_path):
    with (tmp_path / "lock").open("ab") as asking:
        assert try_lock(asking)
        threading.Timer(0.05, unlock, [asking]).start()
        with RunLock(tmp_path):
            assert is_held(tmp_path)


def test_a_holder_on_another_machine_is_told_as_such(tmp_path):
    told = named_in_lock(tmp_path, "pid 1 on elsewhere")
    assert "pid 1 on elsewhere, another machine that shares this folder" in told


def test_a_lock_whose_holder_is_dead_says_how_to_find_who_has_it(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    told = named_in_lock(tmp_path, f"pid {dead.pid} on {socket.gethostname()}")
    assert "is dead: a process that it started still has the lock" in told
    assert f"fuser -v {tmp_path / 'lock'}" in told


def test_a_holder_that_has_not_named_itself_yet_is_another_process(tmp_path):
    assert "by another process" in named_in_lock(tmp_path, "")


def test_two_runs_of_one_second_get_two_folders(tmp_path):
    now = datetime(2026, 1, 2, 3, 4, 5)
    names = [new_run(tmp_path / "logs", tmp_path / "ck", now).name for _ in range(3)]
    assert names == ["20260102-030405", "20260102-030406", "20260102-030407"]
    earlier = now - timedelta(hours=5)
    assert new_run(tmp_path / "logs", tmp_path / "ck", earlier).name == "20260102-030408"


def at(second, event, **fields):
    """An event as a file holds it."""
    time = f"2026-01-01T00:00:{second:02}.000Z"
    return {"event": event, "time": time, "session": 1, "step": 0} | fields


def measured(second, number, **fields):
    figures = {"eta_seconds": 90.0, "tokens_per_second": 10.0, "memory_bytes": 7}
    return at(second, "step", step=number, **figures | fields)


def test_progress_is_that_of_the_last_events():
    progress = progress_of(
        [
            at(0, "train_start", total_steps=10),
            measured(2, 1),
            at(3, "eval", step=1, val_loss=3.0),
            at(4, "checkpoint", step=1),
            measured(6, 2, eta_seconds=80.0, memory_bytes=9),
            at(7, "eval", step=2, val_loss=3.5),
        ]
    )
    assert (progress.step, progress.total_steps, progress.saved_step) == (2, 10, 1)
    assert (progress.elapsed_seconds, progress.eta_seconds, progress.memory_bytes) == (7, 80, 9)
    assert progress.best() == (1, 3.0)


def test_time_between_sessions_is_not_elapsed_and_steps_taken_again_do_not_count():
    progress = progress_of(
        [
            at(0, "train_start", total_steps=10),
            measured(2, 1),
            at(3, "eval", step=1, val_loss=3.0),
            measured(4, 2),
            at(5, "eval", step=2, val_loss=1.0),
            at(30, "train_start", total_steps=20, resumed_from=1, session=2),
            measured(33, 2, session=2),
            at(34, "eval", step=2, val_loss=2.0, session=2),
        ]
    )
    assert progress.elapsed_seconds == 9
    assert progress.total_steps == 20
    assert progress.best() == (2, 2.0)


def test_of_what_a_run_had_to_say_the_last_few_things_are_known():
    told = [*range(10), 4]
    events = [at(n, "warning", step=n, message=f"m{said}") for n, said in enumerate(told)]
    warnings = progress_of(events).warnings
    assert [each["message"] for each in warnings] == [
        "m2",
        "m3",
        "m5",
        "m6",
        "m7",
        "m8",
        "m9",
        "m4",
    ]
    assert (warnings[-1]["step"], warnings[-1]["suggestion"]) == (10, None)


def test_a_clock_that_is_put_back_takes_no_time_away():
    assert progress_of([at(5, "train_start"), measured(9, 1), measured(1, 2)]).elapsed_seconds == 4


def test_lines_that_are_no_events_are_passed_over():
    torn = [[], None, {"event": "step"}]
    edited = [{**measured(2, 9), "step": "9"}, {**measured(2, 9), "time": 5}]
    without_zone = {**measured(2, 9), "time": "2026-01-01T00:00:00"}
    assert progress_of([measured(1, 1), *torn, *edited, without_zone]).step == 1


@pytest.fixture
def run(tmp_path):
    run = run_folder(tmp_path / "logs", tmp_path / "checkpoints", "20260101-000000")
    run.write_manifest({"frozen": {"device": "cpu"}, "command": ["/bin/llm", "train", "--json"]})
    return run


def test_a_report_of_a_killed_run(run):
    log = EventLog(run.events, session=1)
    log.append(step(eta_seconds=50.0, memory_bytes=8))
    with CheckpointStore(run.checkpoints, 2, Storage()).commit(1) as writer:
        writer.write("state", [b"1234"])
    facts = report(run)
    assert (facts["status"], facts["step"], facts["remaining_seconds"]) == ("killed", 1, 50.0)
    assert (facts["device"], facts["memory_bytes"], facts["process"]) == ("cpu", 8, None)
    assert facts["checkpoint"] == str(run.checkpoints / "step-00000001")
    on_disk = sum(file.stat().st_size for file in run.checkpoints.rglob("*") if file.is_file())
    assert facts["checkpoint_bytes"] == on_disk
    assert facts["disk_bytes"] > on_disk
    assert facts["resume"] == "llm train --json"


def test_a_report_of_a_live_run_names_its_process_and_no_way_to_go_on(run):
    with RunLock(run.path):
        facts = report(run)
    assert facts["status"] == "running"
    assert facts["process"] == f"pid {os.getpid()} on {socket.gethostname()}"
    assert facts["resume"] is None


def test_what_two_names_share_takes_its_place_once(tmp_path):
    (tmp_path / "a").write_bytes(bytes(100))
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert disk_bytes(tmp_path) == 100


@pytest.mark.parametrize(
    ("given", "newest", "expected"),
    [
        ([], True, "llm train"),
        (["llm"], True, "llm train"),
        (["llm", "train", "--resume", "never", "--seed", "3"], True, "llm train --seed 3"),
        (["llm", "train", "--resume=never", "-C", "a b"], True, "llm train -C 'a b'"),
        (["llm", "train"], False, "llm train --resume 20260101-000000"),
        (["llm", "quickstart", "demo"], True, "llm quickstart demo"),
    ],
)
def test_the_command_that_goes_on_is_the_one_that_began(run, given, newest, expected):
    run.write_manifest({"command": given})
    assert resume_command(run, newest=newest) == expected


def test_runs_are_listed_oldest_first(tmp_path):
    for name in ("20260102-000000", "20260101-000000"):
        run_folder(tmp_path, tmp_path / "ck", name).write_manifest({})
    names = [run.name for run in runs_of(tmp_path, tmp_path / "ck")]
    assert names == ["20260101-000000", "20260102-000000"]


def test_a_run_that_nobody_holds_and_that_said_nothing_was_killed(run):
    with RunLock(run.path):
        assert run.status() == "running"
    assert run.status() == "killed"
    run.write_summary({"status": "paused"})
    assert run.status() == "paused"
