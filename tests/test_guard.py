"""Runs that are really made to fail, and what becomes of them; runs that are well."""

from __future__ import annotations

import json
import shutil
import signal

import pytest

from tests.conftest import ROOT
from tests.faults.spoilt import VARIABLE, install_plugin
from tests.journey import SETTINGS, flags, llm, sentences, start_llm, with_signals

TOML = """\
[project]
template = "nano"

[tokenizer]
name = "byte"
"""
QUICK = {
    **{key: value for key, value in SETTINGS.items() if key != "tokenizer.vocab_size"},
    "training.compile": "off",
    "training.eval_interval": 20,
    "training.save_interval": 10,
    "logging.log_interval": 1,
    "training.sample_interval": 1000,
}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/text.txt").write_text(sentences(200))
    (tmp_path / "llm.toml").write_text(TOML)
    return tmp_path


def train(project, policy="auto", code=0, env=None, overlays=(), **settings):
    """The run's report, manifest and events."""
    chosen = {**QUICK, "callbacks.guard.on_anomaly": policy, **settings}
    done = llm(project, "train", *flags(chosen), code=code, env=env, overlays=overlays)
    folder = next(project.glob("logs/*/run.json")).parent
    lines = (folder / "events.jsonl").read_text().splitlines()
    report = json.loads((folder / "guard.json").read_text())
    return report, json.loads((folder / "run.json").read_text()), lines, done.stderr


def rules(report):
    return [each["rule"] for each in report["findings"]]


@pytest.mark.parametrize(("seed", "batch"), [(1, 4), (2, 1)])
def test_a_run_that_is_well_is_left_alone_and_scores_well(project, seed, batch):
    settings = {"training.seed": seed, "training.batch_size": batch, "training.max_steps": 80}
    report, manifest, _, said = train(project, **settings)
    assert rules(report) == []
    assert "remedies" not in manifest
    assert report["score"] >= 60
    assert f"quality {report['score']} of 100" in said


ABSURD = {"training.learning_rate": 30, "training.max_steps": 60}


def test_an_absurd_learning_rate_is_lowered_from_the_beginning(project):
    report, manifest, lines, said = train(project, **ABSURD)
    assert rules(report)[:2] == ["learning_rate", "divergence"]
    assert "warning: the learning rate is 30" not in said
    assert "the learning rate is 30, and 0.003 in the template of this project" in said
    first = manifest["remedies"][0]
    assert first["from_step"] == 0
    assert first["overrides"]["learning_rate"] == pytest.approx(1e-4)
    assert "rewind" not in manifest
    assert manifest["identity"]["training.learning_rate"] == 30
    assert manifest["sessions"] == len(manifest["remedies"]) + 1
    told = [json.loads(line) for line in lines]
    assert [e["status"] for e in told if e["event"] == "train_end"][::-1][0] == "completed"
    assert len(manifest["remedies"]) == 1
    assert report["score"] >= 30
    (made,) = project.glob("models/v*/create_llm.json")
    assert json.loads(made.read_text())["remedies"] == manifest["remedies"]
    assert "0.0001 times the learning rate" in said


def test_a_rate_far_above_the_usual_is_answered_by_the_usual(project):
    settings = {"training.learning_rate": 5, "training.max_steps": 80}
    report, manifest, _, _ = train(project, **settings)
    (remedy,) = manifest["remedies"]
    assert 5 * remedy["overrides"]["learning_rate"] == pytest.approx(3e-3)
    assert report["score"] >= 30


LOST = {**ABSURD, "training.save_interval": 2, "training.precision": "fp32"}


@with_signals
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_remedy_is_not_lost_where_the_run_ends_before_it(project, tmp_path_factory, number):
    whole = tmp_path_factory.mktemp("whole") / "p"
    shutil.copytree(project, whole)
    _, manifest, _, _ = train(whole, **LOST)
    chosen = flags({**QUICK, "callbacks.guard.on_anomaly": "auto", **LOST})
    process = start_llm(project, "train", *chosen)
    while "far above that of blind guessing" not in (line := process.stderr.readline()):
        assert line, "it ended without a finding"
    process.send_signal(number)
    process.communicate(timeout=60)
    _, again, _, _ = train(project, **LOST)
    assert again["remedies"] == manifest["remedies"]
    assert weights(project) == weights(whole)


def weights(project):
    (made,) = project.glob("models/v*/model.safetensors")
    return made.read_bytes()


def test_without_a_remedy_the_same_run_scores_badly(project):
    report, manifest, _, _ = train(project, "warn", **ABSURD)
    assert "divergence" in rules(report)
    assert "remedies" not in manifest
    assert report["score"] <= 10


def test_a_run_that_blows_up_before_its_first_log_is_found(project):
    settings = {
        "training.learning_rate": 10,
        "training.max_steps": 60,
        "training.eval_interval": 1000,
        "training.precision": "fp32",
        "logging.log_interval": 10,
    }
    report, manifest, _, _ = train(project, **settings)
    assert rules(report)[:2] == ["learning_rate", "divergence"]
    first = report["findings"][1]
    assert (first["step"], first["remedy"]["learning_rate"]) == (30, pytest.approx(3e-4))
    assert manifest["remedies"][0]["from_step"] == 0


def test_on_a_terminal_it_stops_and_may_be_gone_on_with(project):
    report, _, _, said = train(project, "pause", code=78, **ABSURD)
    assert report["status"] == "paused"
    (summary,) = project.glob("logs/*/summary.json")
    told = json.loads(summary.read_text())["paused_for"]
    assert "blind guessing" in told["reason"]
    command = told["suggestions"][0].removeprefix("a lower learning rate: llm train ")
    assert {"model.layers=1", "training.eval_interval=20"} <= set(command.split())
    assert command.endswith("--resume never --learning-rate 0.003")
    assert "try: a lower learning rate" in said
    report, _, _, _ = train(project, "warn", **ABSURD)
    assert report["status"] == "completed"
    assert report["score"] <= 10


NOT_A_NUMBER = {
    "model.name": "spoilt",
    "objective.name": "spoilt",
    "training.max_steps": 40,
}


@pytest.mark.parametrize(("policy", "code"), [("auto", 0), ("warn", 76)])
def test_a_batch_that_gives_no_number_is_gone_back_from(project, tmp_path_factory, policy, code):
    overlay = install_plugin(tmp_path_factory.mktemp("plugin"))
    spoil = {VARIABLE: json.dumps({"what": "loss", "value": "nan", "call": 25})}
    report, manifest, lines, said = train(
        project, policy, code, spoil, [overlay, ROOT], **NOT_A_NUMBER
    )
    assert rules(report) == ["not_a_number"]
    assert "in the batch of windows" not in json.dumps(report)
    assert policy == "warn" or "in the batch of windows" not in said
    assert "became no number (NaN) at step" in said
    assert any('"event": "diverged"' in line for line in lines)
    if policy == "auto":
        assert [each["from_step"] for each in manifest["remedies"]] == [20]
        assert report["status"] == "completed"
    else:
        assert report["status"] == "diverged"
        assert report["score"] <= 10


def test_a_text_that_is_learnt_by_heart_ends_at_its_best(project):
    (project / "data/raw/text.txt").write_text(
        "".join(f"{n * n * 7919 % 10007:05d} {n * 31337 % 9973:04d}\n" for n in range(60))
    )
    report, manifest, lines, _ = train(
        project,
        **{
            "model.dim": 64,
            "model.ffn_dim": 128,
            "training.learning_rate": 1e-2,
            "training.max_steps": 200,
            "logging.log_interval": 10,
        },
    )
    assert {"too_little_text", "overfitting"} <= set(rules(report))
    remedy = manifest["remedies"][-1]
    assert remedy["overrides"]["end_at_best"]
    summary = json.loads(next(project.glob("logs/*/summary.json")).read_text())
    assert (summary["status"], summary["stopped_by"]) == ("completed", "early_stop")
    assert summary["steps"] == remedy["from_step"] < 200
    scores = [json.loads(line) for line in lines if '"event": "eval"' in line]
    assert summary["val_loss"] == min(each["val_loss"] for each in scores)


def test_a_dead_learning_rate_is_told(project):
    settings = {"training.learning_rate": 1e-12, "training.max_steps": 60}
    report, _, _, said = train(project, **settings)
    assert rules(report) == ["learning_rate", "learning_rate"]
    assert [each["level"] for each in report["findings"]] == ["note", "warning"]
    assert report["findings"][1]["step"] == 14
    assert report["score"] == 0
    assert "it has learnt nothing" in said


def test_a_young_run_that_is_well_is_told_to_go_on_by_a_command_that_runs(project):
    report, _, _, said = train(project, **{"training.max_steps": 24})
    assert rules(report) == []
    (todo,) = report["suggestions"]
    label, command = todo.split(": ", 1)
    assert (label, command[:9]) == ("more steps", "llm train")
    assert f"quality {report['score']} of 100, {report['word']}: it has learnt" in said
    llm(project, *command.split()[1:], "--plan")


def test_it_is_on_for_a_project_that_does_not_name_it_and_off_where_it_is_switched_off(project):
    chosen = {**QUICK, "training.max_steps": 2}
    llm(project, "train", *flags(chosen))
    assert len(list(project.glob("logs/*/guard.json"))) == 1
    off = {**chosen, "logging.guard": "false"}
    llm(project, "train", *flags(off))
    assert len(list(project.glob("logs/*/guard.json"))) == 1
    assert len(list(project.glob("logs/*/run.json"))) == 2
