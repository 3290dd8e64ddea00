"""Runs that are really made to fail in each way that ends none of them: the guard tells of it."""

from __future__ import annotations

import json
import random
import string

import pytest

from tests.conftest import ROOT
from tests.faults.spoilt import VARIABLE, install_plugin
from tests.journey import sentences
from tests.test_guard import project, rules, train

__all__ = ["project"]

SPOILT = {"model.name": "spoilt", "objective.name": "spoilt", "training.max_steps": 60}
NOISE = "".join(random.Random(1).choices(string.ascii_lowercase[:16], k=40_000))


@pytest.fixture
def spoilt(project, tmp_path_factory):
    """`spoilt(what, value, call)`: the report of a run that goes bad so at that call."""
    overlay = install_plugin(tmp_path_factory.mktemp("plugin"))

    def run(what, value, call, policy="warn", **settings):
        env = {VARIABLE: json.dumps({"what": what, "value": value, "call": call})}
        return train(project, policy, 0, env, [overlay, ROOT], **{**SPOILT, **settings})

    return run


def finding(report, rule):
    """The first of a rule."""
    return next(each for each in report["findings"] if each["rule"] == rule)


def test_gradients_of_another_size_that_are_none_are_not_told(spoilt):
    report, _, _, _ = spoilt("gradients", 1.0, 0)
    assert rules(report) == []


def test_exploding_gradients_are_gone_back_from_and_clipped(spoilt):
    report, manifest, _, said = spoilt("gradients", 1e5, 30, "auto")
    found = finding(report, "exploding_gradients")
    assert 31 <= found["step"] <= 33
    assert found["began"] <= 30
    first = manifest["remedies"][0]
    assert first["from_step"] <= 30
    assert first["overrides"]["gradient_clip"] < 1
    assert "gradient_clip" in said


def test_vanishing_gradients_are_told(spoilt):
    report, manifest, _, said = spoilt("gradients", 1e-10, 10)
    found = finding(report, "vanishing_gradients")
    assert found["step"] <= 20
    assert "remedies" not in manifest
    assert "the loss is still" in said


@pytest.mark.slow
def test_a_text_with_odd_places_spikes(project):
    """One that is learnt in no time, with a few blocks of noise, each met once."""
    easy = "the cat sat on the mat. " * 40
    odd = "".join(random.Random(2).choices(string.punctuation, k=100))
    (project / "data/raw/text.txt").write_text((easy * 8 + odd) * 6)
    report, _, _, _ = train(
        project,
        "warn",
        **{"training.batch_size": 1, "training.max_steps": 300, "training.learning_rate": 3e-3},
    )
    found = finding(report, "spikes")
    assert "came back" in found["seen"]


@pytest.mark.slow
def test_a_text_of_noise_is_a_plateau(project):
    """What there is to learn of it, which letters occur, is learnt soon."""
    (project / "data/raw/text.txt").write_text(NOISE)
    report, _, _, _ = train(
        project,
        "warn",
        **{
            "training.batch_size": 32,
            "training.max_steps": 300,
            "training.learning_rate": 3e-3,
            "training.eval_interval": 100,
        },
    )
    assert "a quarter of the run" in finding(report, "plateau")["seen"]


@pytest.mark.slow
def test_a_text_with_something_to_learn_is_none(project):
    (project / "data/raw/text.txt").write_text(sentences(2000))
    report, _, _, _ = train(
        project,
        "warn",
        **{"training.batch_size": 16, "training.max_steps": 200, "training.eval_interval": 100},
    )
    assert rules(report) == []


@pytest.mark.slow
def test_a_machine_that_gets_slow_is_told(spoilt):
    report, _, _, said = spoilt("speed", 8.0, 30, **{"training.max_steps": 36})
    assert finding(report, "throughput")["step"] >= 35
    assert "tokens a second, down from" in said
