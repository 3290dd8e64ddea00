"""Events as readers see them, control requests, locks, the choice of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime

import pytest

from create_llm.errors import ConfigError, DataError, LockedError
from create_llm.project.folder import Project
from create_llm.runs.control import Control, Request
from create_llm.runs.events import EpochStart, EventLog, RunWarning, StepEnd, read_events
from create_llm.runs.lock import RunLock
from create_llm.runs.run import RunFolder, new_run, runs_of
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from create_llm.training.pick_run import pick_run


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


def test_a_second_process_is_refused_and_told_who_holds_the_run(tmp_path):
    code = (
        "import sys; from pathlib import Path; from create_llm.runs.lock import RunLock\n"
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


def test_two_runs_of_one_second_get_two_folders(tmp_path):
    now = datetime(2026, 1, 2, 3, 4, 5)
    names = [new_run(tmp_path / "logs", tmp_path / "ck", now).name for _ in range(3)]
    assert names == ["20260102-030405", "20260102-030405-2", "20260102-030405-3"]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def leave_unfinished(project, identity, name="20260101-000000"):
    run = RunFolder(project.logs / name, project.checkpoints / name)
    run.write_manifest({"identity": identity})
    with CheckpointStore(run.checkpoints, 2, Storage()).commit(7) as writer:
        writer.write("state", [b"7"])
    return run


def pick(project, identity, resume="auto", ask=None):
    told = []
    picked = pick_run(project, "logs", identity, resume, ask=ask, warn=told.append)
    return picked, told


def test_an_unfinished_run_of_the_same_configuration_goes_on(project):
    run = leave_unfinished(project, {"lr": 1})
    picked, _ = pick(project, {"lr": 1})
    assert (picked.run, picked.step) == (run, 7)


def test_another_configuration_is_refused_with_the_difference_and_the_flag(project):
    leave_unfinished(project, {"lr": 1, "model.layers": 2})
    with pytest.raises(ConfigError, match=r"lr: 1 then, 3 now") as caught:
        pick(project, {"lr": 3, "model.layers": 2})
    assert "--resume never" in caught.value.render()


def test_never_and_no_start_a_new_run(project):
    run = leave_unfinished(project, {"lr": 1})
    assert pick(project, {"lr": 1}, "never")[0].step is None
    asked = []
    picked, _ = pick(project, {"lr": 2}, ask=lambda question: asked.append(question))
    assert picked.step is None
    assert run.name in asked[0]


def test_a_finished_run_is_left_alone(project):
    run = leave_unfinished(project, {"lr": 1})
    run.write_summary({"status": "completed"})
    assert pick(project, {"lr": 1})[0].step is None


def test_a_run_that_does_not_exist_is_named_with_the_nearest(project):
    leave_unfinished(project, {})
    with pytest.raises(ConfigError) as caught:
        pick(project, {}, "20260101-00000")
    assert "20260101-000000" in caught.value.render()


def test_a_damaged_checkpoint_is_told_and_passed_over(project):
    run = leave_unfinished(project, {})
    with CheckpointStore(run.checkpoints, 2, Storage()).commit(9) as writer:
        writer.write("state", [b"9"])
    (run.checkpoints / "step-00000009" / "state").write_bytes(b"x")
    picked, told = pick(project, {})
    assert picked.step == 7
    assert "step-00000009" in told[0]


def test_runs_are_listed_oldest_first(project):
    for name in ("20260102-000000", "20260101-000000"):
        leave_unfinished(project, {}, name)
    names = [run.name for run in runs_of(project.logs, project.checkpoints)]
    assert names == ["20260101-000000", "20260102-000000"]


def test_a_killed_run_is_not_running(project):
    run = leave_unfinished(project, {})
    with RunLock(run.path):
        assert run.status() == "running"
    assert run.status() == "interrupted"


def test_a_run_asked_for_by_name_must_have_something_to_resume(project):
    run = leave_unfinished(project, {})
    (run.checkpoints / "step-00000007" / "state").write_bytes(b"x")
    with pytest.raises(DataError, match="no checkpoint"):
        pick(project, {}, run.name)
    run.write_summary({"status": "completed"})
    with pytest.raises(ConfigError, match="is complete"):
        pick(project, {}, run.name)
