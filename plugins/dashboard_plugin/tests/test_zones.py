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
    told = verdict(scores((val, val)), None, V, unfinished=True)
    assert told is not None
    assert told.zone == zone
    assert f"{val:.2f}" in told.reason
    assert f"{GUESS:.2f}" in told.reason


def test_before_the_first_evaluation_the_training_loss_is_judged():
    told = verdict([], GUESS * 0.6, V, unfinished=True)
    assert told is not None
    assert told.reason.startswith("The training loss")
    assert verdict([], None, V, unfinished=True) is None


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_a_problem(loss: float):
    for found in ([], scores((1, 2), (loss, loss))):
        told = verdict(found, loss, V, unfinished=True)
        assert told is not None
        assert told.zone == "problematic"
        assert "no number any more" in told.reason


@pytest.mark.parametrize("unfinished", [True, False])
@pytest.mark.parametrize("share", [1.06, 1.5, 90, 1e300])
def test_a_loss_above_guessing_is_called_worse_than_guessing(share: float, unfinished: bool):
    told = verdict(scores((GUESS, GUESS * share)), None, V, unfinished=unfinished)
    assert told is not None
    assert told.zone == "problematic"
    assert "worse than guessing blindly" in told.reason
    assert "went wrong" in told.reason or "gone wrong" in told.reason
    assert "how often tokens occur" not in told.reason
    assert len(told.reason) < 400


def test_learning_by_heart_can_be_worse_than_guessing():
    told = verdict(scores((3, 6), (2, 7), (1, 8), (0.1, GUESS * 1.5)), None, V, unfinished=False)
    assert told is not None
    assert told.reason.startswith("Overfitting: after step 100")
    assert "worse than guessing blindly" in told.reason
    assert "went wrong" not in told.reason


@pytest.mark.parametrize("share", [0.96, 1.0, 1.04])
def test_about_as_good_as_guessing_is_where_training_begins(share: float):
    young = verdict([], GUESS * share, V, unfinished=True)
    over = verdict([], GUESS * share, V, unfinished=False)
    assert young is not None
    assert over is not None
    assert "Every training begins like that" in young.reason
    assert "It has learnt nothing." in over.reason


@pytest.mark.parametrize(
    "pairs",
    [
        [(GUESS, GUESS * 2)],
        [(GUESS, GUESS)],
        [(GUESS, GUESS * 0.8)],
        [(GUESS, GUESS * 0.6)],
        [(1.5, 2.5)],
        [(3, 3), (2.5, 2.6), (2, 2.7), (1.5, 2.8), (1, 3)],
        [(2, 2), (2.2, 2.3), (2.4, 2.5), (2.6, 2.7)],
    ],
)
def test_of_a_run_that_is_over_nothing_is_still_to_come(pairs: list[tuple[float, float]]):
    told = verdict(scores(*pairs), None, V, unfinished=False)
    assert told is not None
    for words in ("begins", "if it stays", "Watch", "Stop", " now", "should", "rises", "yet"):
        assert words not in told.reason


def test_learning_by_heart_is_told_though_the_loss_is_low():
    told = verdict(
        scores((3, 3), (2.5, 2.6), (2, 2.7), (1.5, 2.8), (1, 3)), None, V, unfinished=True
    )
    assert told is not None
    assert told.zone == "problematic"
    assert "Overfitting: since step 200" in told.reason


@pytest.mark.parametrize("unfinished", [True, False])
def test_who_learns_by_heart_is_not_told_to_learn_for_longer(unfinished: bool):
    for pairs in ([(3, 6)], [(4, 4), (3, 4.5), (2, 5), (1, 5.5)]):
        told = verdict(scores(*pairs), None, V, unfinished=unfinished)
        assert told is not None
        assert "longer" not in told.reason
        assert "learning rate" not in told.reason


def test_a_model_that_forgot_everything_got_worse_and_is_no_beginner():
    fell_back = GUESS * 0.99
    told = verdict(scores((2, 2), *[(fell_back, fell_back)] * 3), None, V, unfinished=True)
    assert told is not None
    assert told.reason.startswith("It gets worse: the validation loss was 2.00 at step 100")
    assert "begins" not in told.reason


def test_getting_worse_on_both_is_no_overfitting():
    told = verdict(scores((2, 2), (2.2, 2.3), (2.4, 2.5), (2.6, 2.7)), None, V, unfinished=True)
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
    told = verdict(scores(*pairs), None, V, unfinished=True)
    assert told is not None
    assert told.zone == "good"


def test_a_gap_is_told_before_it_does_harm():
    told = verdict(scores((1.5, 2.5)), None, V, unfinished=True)
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
