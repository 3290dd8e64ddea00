"""The verdict on a run in words, and how long it still takes."""

from __future__ import annotations

import math

import pytest

from create_llm_dashboard.reading import ReadRun
from create_llm_dashboard.timeleft import time_left
from create_llm_dashboard.zones import Score, bands, verdict

from .conftest import Story

V = 1000
GUESS = math.log(V)


def scores(*pairs: tuple[float, float]) -> list[Score]:
    return [Score(100 * n, train, val) for n, (train, val) in enumerate(pairs, 1)]


def test_the_bands_lie_on_one_another_and_end_nowhere():
    good, acceptable, problematic = bands(V)
    assert (good.low, good.high, acceptable.high) == (0, acceptable.low, problematic.low)
    assert good.high == pytest.approx(GUESS / 2)
    assert problematic.high is None
    assert problematic.low < GUESS


@pytest.mark.parametrize(
    ("val", "zone"),
    [
        (GUESS * 1.2, "problematic"),
        (GUESS, "problematic"),
        (GUESS * 0.74, "acceptable"),
        (GUESS * 0.49, "good"),
        (0.0, "good"),
    ],
)
def test_a_loss_lies_in_its_zone_with_the_numbers_behind_it(val: float, zone: str):
    told = verdict(scores((val, val)), None, V)
    assert told is not None
    assert told.zone == zone
    assert f"{val:.2f}" in told.reason
    assert f"{GUESS:.2f}" in told.reason


def test_before_the_first_evaluation_the_training_loss_is_judged():
    told = verdict([], GUESS * 0.6, V)
    assert told is not None
    assert told.reason.startswith("The training loss")
    assert verdict([], None, V) is None


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_a_problem(loss: float):
    for told in (verdict([], loss, V), verdict(scores((1, 2), (loss, loss)), 1.0, V)):
        assert told is not None
        assert told.zone == "problematic"
        assert "no longer a number" in told.reason


def test_learning_by_heart_is_told_though_the_loss_is_low():
    told = verdict(scores((3, 3), (2.5, 2.6), (2, 2.7), (1.5, 2.8), (1, 3)), None, V)
    assert told is not None
    assert told.zone == "problematic"
    assert "Overfitting: since step 200" in told.reason


def test_getting_worse_on_both_is_no_overfitting():
    told = verdict(scores((2, 2), (2.2, 2.3), (2.4, 2.5), (2.6, 2.7)), None, V)
    assert told is not None
    assert told.zone == "problematic"
    assert "It gets worse" in told.reason


@pytest.mark.parametrize(
    "pairs",
    [
        [(3, 3), (2.9, 3.01), (2.8, 2.9)],
        [(3, 3), (2.5, 2.6), (2.4, 2.61), (2.3, 2.62), (2.2, 2.61)],
        [(3, 3), (2.5, 2.5), (2.4, 2.7)],
    ],
)
def test_noise_is_no_alarm(pairs: list[tuple[float, float]]):
    told = verdict(scores(*pairs), None, V)
    assert told is not None
    assert told.zone == "good"


def test_a_gap_is_told_before_it_does_harm():
    told = verdict(scores((1.5, 2.5)), None, V)
    assert told is not None
    assert told.zone == "acceptable"
    assert "learn by heart" in told.reason


def test_time_left_is_a_range_of_the_run_s_own_forecast(story: Story):
    story.start()
    run = ReadRun(story.folder)
    assert time_left(run) is None
    for step in range(1, 41):
        story.step(step, tokens_per_second=1000.0 + 500 * (step % 3 - 1), eta_seconds=6000.0)
    run.history.refresh()
    left = time_left(run)
    assert left is not None
    passed = 6000 - left.likely
    assert 0 <= passed < 600
    assert left.low == pytest.approx(4000 - passed, abs=2)
    assert left.high == pytest.approx(12000 - passed, abs=2)


def test_a_forecast_that_is_no_number_is_none(story: Story):
    story.start()
    run = ReadRun(story.folder)
    story.step(1, eta_seconds=None)
    run.history.refresh()
    assert time_left(run) is None
