"""Which run `llm train` goes on with, and what it says and refuses before any work."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from create_llm.config import load_config
from create_llm.config.hardware import Hardware
from create_llm.data.pipeline import ensure_data, ensure_tokenizer
from create_llm.data.preparation.ingredients import tokenizer_sha256
from create_llm.errors import ConfigError, DataError, LockedError
from create_llm.kernel.plugins import load_plugins
from create_llm.project.folder import Project
from create_llm.runs.events import EventLog, StepEnd
from create_llm.runs.lock import RunLock
from create_llm.runs.run import run_folder
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from create_llm.training.differences import refuse_if_another
from create_llm.training.machine import announce_machine, look_at_machine
from create_llm.training.pick_run import claim_run, find_unfinished
from create_llm.training.picked import Chooser

HERE = Hardware(2, 16 * 10**9, 8 * 10**9, "A processor")
LLM_TOML = """
[model]
name = "gpt"
[data]
source = "text"
[tokenizer]
name = "byte"
[training]
batch_size = 32
max_steps = 50
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "llm.toml").write_text(LLM_TOML)
    project = Project(tmp_path)
    project.raw.mkdir(parents=True)
    (project.raw / "geese.txt").write_text(
        "".join(f"{n} geese, {n * n} eggs.\n" for n in range(99))
    )
    return project


def configured(project, *overrides):
    return load_config(project.root, load_plugins({}), overrides=overrides, environ={})


def identity_of(project, config):
    tokenizer = ensure_tokenizer(project, config)
    data = ensure_data(project, config, tokenizer)
    return {**config.identity(), "data": data.key, "tokenizer": tokenizer_sha256(tokenizer)}


def leave_unfinished(project, name="20260101-000000", steps=(7,), **manifest):
    """A run that was killed, of the project as it is."""
    config = configured(project)
    run = run_folder(project.logs, project.checkpoints, name)
    facts = {
        "identity": identity_of(project, config),
        "config": config.as_dict(),
        "frozen": {},
    }
    run.write_manifest(facts | manifest)
    for step in steps:
        with CheckpointStore(run.checkpoints, 9, Storage()).commit(step) as writer:
            writer.write("state", [b"7"])
    return run


def chooser(project, *overrides, hardware=HERE, **fields):
    told = []
    config = configured(project, *overrides)
    return Chooser(project, config, hardware, notice=told.append, **fields), told


def find(project, *overrides, **fields):
    choosing, told = chooser(project, *overrides, **fields)
    return find_unfinished(choosing), told


def test_an_unfinished_run_of_the_same_configuration_goes_on(project):
    run = leave_unfinished(project)
    found, _ = find(project)
    assert (found.run, found.step) == (run, 7)


def test_another_configuration_is_refused_with_the_difference_and_the_flag(project):
    leave_unfinished(project)
    with pytest.raises(ConfigError, match=r"learning_rate: 0\.001 then, 3\.0 now") as error:
        find(project, "training.learning_rate=3")
    assert "--resume never" in error.value.render()
    assert find(project, "logging.log_interval=3")[0] is not None


def test_the_same_step_in_other_parts_goes_on_with_other_last_bits(project):
    leave_unfinished(project)
    halved = ("training.batch_size=16", "training.gradient_accumulation_steps=2")
    found, told = find(project, *halved)
    assert found is not None
    assert "last bits will differ" in told[-1]
    with pytest.raises(ConfigError, match="batch_size: 32 then, 16 now"):
        find(project, halved[0])


def test_a_run_that_was_fitted_to_a_time_keeps_its_length(project):
    leave_unfinished(project, frozen={"fitted_steps": 40})
    assert find(project)[0] is not None
    with pytest.raises(ConfigError, match=r"max_steps: 50 then, 90 now") as error:
        find(project, "training.max_steps=90")
    assert "--resume never" in error.value.render()


def test_a_run_of_so_many_steps_is_not_fitted_to_a_time_later_but_may_become_longer(project):
    leave_unfinished(project)
    with pytest.raises(ConfigError, match=r"max_seconds: None then, 9\.0 now"):
        find(project, "training.max_seconds=9")
    found, told = find(project, "training.max_steps=90")
    assert found is not None
    assert "max_steps: 50 then, 90 now, which the schedule follows" in told[-1]


@pytest.mark.parametrize(
    "edit",
    [
        {"config": None},
        {"identity": []},
        {"frozen": "cpu"},
        {"schema": 2},
        {"divided": 0},
        {"looked": "7"},
    ],
)
def test_a_manifest_that_was_edited_is_refused_in_words(project, edit):
    run = leave_unfinished(project)
    run.check()
    path = run.path / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **edit}))
    with pytest.raises(DataError, match=r"its run\.json is not as create-llm"):
        find(project)


def test_a_key_that_the_run_did_not_know_is_no_difference_until_it_is_set(project):
    config = configured(project)
    identity = identity_of(project, config)
    del identity["training.schedule"]
    leave_unfinished(project, identity=identity)
    assert find(project)[0] is not None
    with pytest.raises(ConfigError, match="schedule: None then, 'wsd' now"):
        find(project, "training.schedule=wsd")


def test_another_text_is_told_before_anything_is_made(project):
    leave_unfinished(project)
    (project.raw / "more.txt").write_text("Something else.\n" * 20)
    before = {path: path.read_bytes() for path in project.tokenizer.iterdir()}
    with pytest.raises(ConfigError, match="data: the text has changed"):
        find(project)
    assert {path: path.read_bytes() for path in project.tokenizer.iterdir()} == before


def test_another_tokenizer_that_stays_is_told_before_anything_is_made(project):
    leave_unfinished(project)
    (project.tokenizer / "recipe.json").unlink()
    path = project.tokenizer / "tokenizer.json"
    path.write_text(path.read_text().replace("<pad>", "<nil>"))
    settings = path.with_name("tokenizer_config.json")
    settings.write_text(settings.read_text().replace("<pad>", "<nil>"))
    with pytest.raises(ConfigError, match="tokenizer: another one"):
        find(project)


def test_a_tokenizer_that_may_become_the_same_again_is_compared_when_it_is_there(project):
    run = leave_unfinished(project)
    (project.tokenizer / "tokenizer.json").unlink()
    choosing, _ = chooser(project)
    found = find_unfinished(choosing)
    assert found is not None
    other = {**run.manifest()["identity"], "tokenizer": "another"}
    with pytest.raises(ConfigError, match="tokenizer: "):
        refuse_if_another(choosing, found, other)
    refuse_if_another(choosing, found, run.manifest()["identity"])
    with claim_run(choosing, None) as new:
        refuse_if_another(choosing, new, other)


def test_never_and_no_start_a_new_run(project):
    run = leave_unfinished(project)
    assert find(project, "training.seed=1", resume="never")[0] is None
    asked = []
    found, _ = find(project, "training.seed=1", ask=lambda question: asked.append(question))
    assert found is None
    assert run.name in asked[0]
    assert "stopped at step 7" in asked[0]


def test_a_run_that_lacks_only_its_model_is_spoken_of_as_such(project):
    run = leave_unfinished(project, steps=(50,))
    run.events.write_text(
        '{"event": "train_start", "time": "2026-01-01T00:00:00Z", "session": 1, "step": 0, '
        '"total_steps": 50}\n'
    )
    asked = []
    assert find(project, ask=lambda question: not asked.append(question))[0] is not None
    assert "took all its 50 steps and did not write its model" in asked[0]


def test_a_finished_run_is_left_alone(project):
    run = leave_unfinished(project)
    run.write_summary({"status": "completed", "model": "models/v3"})
    found, told = find(project)
    assert found is None
    assert told == [
        f"run {run.name} is complete and made v3; this is a new run, from the beginning"
    ]
    with pytest.raises(ConfigError, match="is complete"):
        find(project, resume=run.name)


def test_a_run_that_does_not_exist_is_named_with_the_nearest(project):
    leave_unfinished(project)
    with pytest.raises(ConfigError) as caught:
        find(project, resume="20260101-00000")
    assert "20260101-000000" in caught.value.render()


def test_a_damaged_checkpoint_is_told_and_passed_over(project):
    run = leave_unfinished(project, steps=(7, 9))
    (run.checkpoints / "step-00000009" / "state").write_bytes(b"x")
    choosing, told = chooser(project)
    found = find_unfinished(choosing)
    assert found.step == 7
    assert "step-00000009" in told[0]
    with claim_run(choosing, found) as picked:
        assert picked.step == 7


def test_a_run_that_is_going_back_takes_nothing_later_and_finishes_that_under_its_lock(project):
    run = leave_unfinished(project, steps=(7, 9), rewind=7, remedies=[])
    choosing, _ = chooser(project)
    found = find_unfinished(choosing)
    assert found.step == 7
    assert run.steps() == [7, 9]
    with claim_run(choosing, found):
        assert run.steps() == [7]
        assert "rewind" not in run.manifest()


def test_a_run_that_went_back_to_its_beginning_goes_on_without_a_checkpoint(project):
    remedy = {"at_step": 9, "from_step": 0, "reason": "it went wrong", "overrides": {}}
    leave_unfinished(project, steps=(), remedies=[remedy])
    assert find(project)[0].step == 0


@pytest.mark.parametrize("edit", [{"rewind": "7"}, {"remedies": [{"at_step": 3}]}])
def test_going_back_that_was_edited_is_refused_in_words(project, edit):
    leave_unfinished(project, steps=(), **edit)
    with pytest.raises(DataError, match="cannot go on"):
        find(project)


def test_a_run_asked_for_by_name_must_have_something_to_resume(project):
    run = leave_unfinished(project)
    (run.checkpoints / "step-00000007" / "state").write_bytes(b"x")
    with pytest.raises(DataError, match="no checkpoint"):
        find(project, resume=run.name)
    assert find(project)[0] is None


def test_a_live_run_is_left_to_its_process(project):
    run = leave_unfinished(project)
    with RunLock(run.path), pytest.raises(LockedError, match="pid"):
        find(project)
    with RunLock(run.path):
        assert find(project, resume="never")[0] is None


def test_a_run_that_another_process_continued_meanwhile_is_not_taken(project):
    run = leave_unfinished(project)
    choosing, _ = chooser(project)
    found = find_unfinished(choosing)
    with CheckpointStore(run.checkpoints, 9, Storage()).commit(8) as writer:
        writer.write("state", [b"8"])
    with pytest.raises(LockedError, match="meantime"), claim_run(choosing, found):
        pass


def test_a_run_that_another_process_has_just_begun_is_not_doubled(project):
    choosing, _ = chooser(project)
    with claim_run(choosing, None):
        # Before there is a run.json, and whatever was trained before.
        with pytest.raises(LockedError, match="pid"):
            find_unfinished(choosing)
        with pytest.raises(LockedError, match="pid"), claim_run(choosing, None):
            pass
    assert find_unfinished(choosing) is None
    beside, _ = chooser(project, resume="never")
    with claim_run(choosing, None) as first, claim_run(beside, None) as second:
        assert first.run.path != second.run.path


def test_what_is_left_of_a_run_that_was_killed_before_it_began_is_removed(project):
    run = leave_unfinished(project)
    left = [project.logs / name for name in ("20260102-000000", "20260103-000000")]
    for folder in (*left, run.path):
        with RunLock(folder):
            pass
    (left[1] / "train.log").write_text("of use")
    choosing, _ = chooser(project, resume="never")
    with claim_run(choosing, None) as picked:
        remaining = {path.name for path in project.logs.iterdir() if path.is_dir()}
        assert remaining == {run.name, left[1].name, picked.run.name}


def test_a_device_that_is_not_there_is_refused_in_words(project):
    run = leave_unfinished(project, frozen={"device": "cuda", "threads": 2})
    with pytest.raises(ConfigError, match="device: cuda then, cpu now") as caught:
        find(project)
    assert "--resume never" in caught.value.render()
    there = replace(HERE, gpu_name="A GPU", gpu_memory_bytes=10**10)
    assert find(project, hardware=there)[0].run == run
    with pytest.raises(ConfigError, match="device: cuda then, cpu now"):
        find(project, "training.device=cpu", hardware=there)


def test_a_run_begun_on_a_cpu_stays_there_where_there_is_a_gpu_as_well(project):
    leave_unfinished(project, frozen={"device": "cpu", "threads": 2})
    assert find(project, hardware=replace(HERE, gpu_name="A GPU"))[0] is not None


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ({"frozen": {"device": "cpu", "threads": 8}}, "8 threads, and 2 cores are here"),
        ({"versions": {"torch": "1.0"}}, "torch: 1.0 then"),
        ({"hardware": {"cpu_model": "Another"}}, "the processor: Another then, A processor now"),
    ],
)
def test_another_machine_is_told_of_and_not_refused(project, manifest, words):
    leave_unfinished(project, **manifest)
    found, told = find(project)
    assert found is not None
    assert words in told[-1]
    assert "last bits will differ" in told[-1]


# A run that was killed


def step_of(run, number, memory):
    log = EventLog(run.events, session=1)
    names = ("loss", "learning_rate", "tokens_per_second", "grad_norm", "eta_seconds", "epoch")
    fields = dict.fromkeys(names, 1.0)
    log.append(StepEnd(step=number, tokens=1, memory_bytes=memory, **fields))
    log.close()


def killed(project, memory=0, **manifest):
    run = leave_unfinished(project, hardware={"available_ram_bytes": 1000}, **manifest)
    step_of(run, 9, memory)
    return find(project)[1]


def test_a_killed_run_is_recognised(project):
    (told,) = killed(project)
    assert "was killed at about step 9" in told
    assert "it goes on from step 7" in told


def test_a_run_that_was_stopped_in_order_is_not_called_killed(project):
    run = leave_unfinished(project)
    run.write_summary({"status": "interrupted"})
    assert find(project)[1] == []


def test_a_killed_run_that_had_used_nearly_all_memory_is_given_numbers(project):
    told = killed(project, memory=900)[1]
    assert "training.batch_size=16 --set training.gradient_accumulation_steps=2" in told
    assert "now 32 and 1" in told
    assert "training.gradient_checkpointing=true" in told
    advised = ("training.batch_size=16", "training.gradient_accumulation_steps=2")
    assert find(project, *advised, "training.gradient_checkpointing=true")[0] is not None


def test_memory_of_a_gpu_says_nothing_of_the_machine(project):
    frozen = {"device": "cuda", "threads": 1}
    run = leave_unfinished(project, hardware={"available_ram_bytes": 1000}, frozen=frozen)
    step_of(run, 9, 900)
    there = replace(HERE, gpu_name="A GPU")
    assert len(find(project, hardware=there)[1]) == 1


@pytest.mark.parametrize(
    ("before", "shortage"),
    [
        ({"oom_kills": 2, "group_oom_kills": 0}, True),
        ({"oom_kills": 3, "group_oom_kills": 1}, False),
        ({"oom_kills": 2, "group_oom_kills": 1, "boot": "earlier"}, False),
        ({"oom_kills": 2, "group_oom_kills": 1, "host": "elsewhere"}, False),
        ({"oom_kills": 2, "group_oom_kills": 1, "group": "another"}, True),
        ({}, False),
    ],
    ids=["own group", "no kill since", "other boot", "other host", "other group", "not counted"],
)
def test_a_kill_for_want_of_memory_is_told_where_the_system_counted_it(
    project, monkeypatch, before, shortage
):
    now = {**look_at_machine(), "boot": "this", "group": "g", "group_oom_kills": 1, "oom_kills": 3}
    monkeypatch.setattr("create_llm.training.killed.look_at_machine", lambda: now)
    recorded = {**now, **before} if before else {}
    told = killed(project, machine=recorded)
    assert ["the system ran out of memory" in words for words in told[1:]] == [True] * shortage


# The machine


@pytest.mark.parametrize(
    ("hardware", "parameters", "warnings"),
    [
        (HERE, 60_000_000, 1),
        (HERE, 40_000_000, 0),
        (replace(HERE, gpu_name="A GPU"), 60_000_000, 0),
        (replace(HERE, mps=True), 60_000_000, 0),
    ],
)
def test_the_log_names_the_machine_and_a_large_model_without_a_gpu_is_warned(
    project, hardware, parameters, warnings
):
    run, told = leave_unfinished(project), []
    session = SimpleNamespace(warn=lambda message, suggestion: told.append(message))
    announce_machine(run, session, hardware, parameters)
    line = run.log.read_text()
    assert "machine: 2 cores (A processor), 16.0 GB of memory (8.0 GB free)" in line
    assert ("A GPU" in line) == (hardware.gpu_name is not None)
    assert ["take days here" in message for message in told] == [True] * warnings
