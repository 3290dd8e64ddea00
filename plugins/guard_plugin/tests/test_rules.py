"""Each rule: it finds what it is for, and nothing in runs that are well."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from create_llm_guard.rules.base import Run
from create_llm_guard.rules.loss import Divergence
from create_llm_guard.series import noise, noise_at_most

from .story import GUESS, curve, eval_end, found, healthy, learnt, names, step_end, train_start


# Not other runs each time: of very many, chance makes one look ill.
@settings(max_examples=100, deadline=None, derandomize=True)
@example(total=60, every=2, seed=273, spread=0.5, low=2.0)
@given(
    total=st.sampled_from([60, 200, 400]),
    every=st.sampled_from([1, 2, 10]),
    seed=st.integers(0, 10**6),
    spread=st.floats(0.0, 0.5),
    low=st.floats(0.2, 4.0),
)
def test_nothing_is_found_in_a_healthy_run(total, every, seed, spread, low):
    events = healthy(total, every, seed, spread, low)
    assert found(events, total_steps=total) == []


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    spread=st.floats(0.0, 0.3),
    at=st.integers(60, 150),
    to=st.floats(1.6, 3.0),
)
def test_a_loss_that_climbs_and_stays_is_found_wherever_it_begins(seed, spread, at, to):
    events = healthy(200, 1, seed, spread)
    spoilt = [
        step_end(each.step, each.loss + to * (each.step >= at))
        for each in events
        if hasattr(each, "grad_norm")
    ]
    (finding,) = [each for each in found(spoilt) if each.rule == "divergence"]
    assert at <= finding.step <= at + 8
    assert finding.began is not None
    assert at - 12 <= finding.began < finding.step
    assert finding.level == "serious"


def test_a_run_that_only_gets_worse_is_compared_with_guessing():
    events = curve(12, lambda n: GUESS + 0.1 * 3**n)
    finding = found(events)[0]
    assert finding.rule == "divergence"
    assert finding.began is not None
    assert finding.began < finding.step <= 8


def test_a_bad_beginning_that_gets_better_is_no_divergence():
    assert "divergence" not in names(found(curve(60, lambda n: 40 * math.exp(-n / 15) + 3)))


BLOWN_UP = [142.7, 850.0, 1377.7, 1446.2, 1283.7, 824.7, 571.7, 517.3, 363.4, 251.5, 212.5, 137.9]
"""A real run of 120 steps at a learning rate of 10, logged each 10."""
SENT_BACK = [
    *(7.09, 11.11, 18.65, 17.66, 12.66, 17.41, 15.48, 13.27, 11.03, 11.34, 9.65, 7.95, 9.03, 7.97),
    *(7.23, 7.68, 7.59, 7.29, 7.25, 7.05, 6.53, 6.5, 6.38, 6.3, 6.55, 6.25, 6.42, 6.42, 6.52, 6.37),
]
"""A real run of 100 steps at 0.5, logged each 2, of a vocabulary of 2048."""


def logged(losses, every):
    return [step_end(n * every, loss) for n, loss in enumerate(losses, 1)]


def test_a_run_that_blew_up_before_its_first_log_is_found_though_it_falls_later():
    (finding,) = found(logged(BLOWN_UP, 10), total_steps=120)
    assert (finding.rule, finding.step, finding.began) == ("divergence", 30, 0)


def test_one_that_comes_back_to_its_senses_is_told_of_once_and_is_not_spoilt():
    run = Run.of(train_start(total_steps=100, vocab_size=2048))
    rule = Divergence(run)
    told = [finding for event in logged(SENT_BACK, 2) if (finding := rule.step(event))]
    assert [each.step for each in told] == [12]
    assert rule.lasting is None


def test_a_score_says_that_it_came_back_before_the_logs_do():
    rule = Divergence(Run.of(train_start(total_steps=120)))
    assert [finding for event in logged(BLOWN_UP, 10) if (finding := rule.step(event))]
    rule.scored(eval_end(120, 5.9))
    assert rule.lasting is not None
    rule.scored(eval_end(120, 3.4))
    assert rule.lasting is None


def test_a_score_that_is_below_guessing_is_not_well_where_more_had_been_learnt():
    rule = Divergence(Run.of(train_start()))
    climbs = curve(120, lambda n: learnt(n, 120) + 3 * (n >= 80))
    assert [finding for event in climbs if (finding := rule.step(event))]
    rule.scored(eval_end(120, 5.1))
    assert rule.lasting is not None


def test_a_high_beginning_has_a_fifth_of_the_run_to_get_below_guessing():
    slow = curve(100, lambda n: 40 * math.exp(-n / 60) + 3)
    assert [each.step for each in found(slow) if each.rule == "divergence"] == [41]
    assert found(curve(60, lambda n: GUESS * (1.4 if n < 3 else 1 - n / 200))) == []


def test_scores_far_above_guessing_tell_it_where_there_are_no_logs():
    (finding,) = found([eval_end(50, 80.0, 81.0)])
    assert (finding.rule, finding.began) == ("divergence", 0)
    for healthy_score in (eval_end(1, 8.0), eval_end(50, 80.0, 3.0), eval_end(60, 7.0)):
        assert found([healthy_score]) == []


def test_a_leap_that_comes_back_is_a_spike_and_the_next_four_are_not_told():
    leaps = {40, 60, 80, 100, 120, 140}
    events = curve(200, lambda n: learnt(n, 200) + (3.0 if n in leaps else 0.01 * math.sin(n)))
    spikes = [each for each in found(events) if each.rule == "spikes"]
    assert [each.step for each in spikes] == [40, 140]
    assert "leapt from" in spikes[0].seen
    assert "divergence" not in names(found(events))


def test_a_loss_that_stays_while_the_rate_is_high_is_a_plateau():
    stays = curve(200, lambda n: learnt(min(n, 60), 200) + 0.01 * math.sin(7 * n))
    (finding,) = found(stays)
    assert finding.rule == "plateau"
    assert 85 <= finding.step <= 160
    slow = curve(
        200, lambda n: learnt(min(n, 60), 200), learning_rate=lambda n: 3e-3 * (n < 70) + 1e-4
    )
    assert found(slow) == []


def test_a_plateau_is_seen_at_the_rate_that_a_remedy_left():
    stays = curve(
        200,
        lambda n: learnt(min(n, 60), 200) + 0.01 * math.sin(7 * n),
        learning_rate=lambda n: 3e-4,
    )
    assert found(stays) == []
    assert names(found(stays, learning_rate=3e-4)) == ["plateau"]


def test_what_is_learnt_by_heart_is_no_plateau():
    assert found(curve(200, lambda n: 0.02 if n > 30 else learnt(n, 30, 0.02))) == []


@pytest.mark.parametrize("rate", [0.0, 1e-9])
def test_a_rate_that_is_dead_is_found(rate):
    events = curve(80, lambda n: GUESS + 0.02 * math.sin(5 * n), learning_rate=lambda n: rate)
    findings = found(events)
    assert "learning_rate" in names(findings)
    assert findings[0].step <= 40


def test_a_rate_that_is_low_shall_be_higher_and_any_other_lower():
    stays = curve(80, lambda n: GUESS + 0.02 * math.sin(5 * n), learning_rate=lambda n: 0.3)
    (finding,) = found(stays, learning_rate=0.3)
    assert "too large" in finding.meaning
    assert finding.actions[0].startswith("a lower learning rate")
    dead = curve(80, lambda n: GUESS, learning_rate=lambda n: 1e-9)
    (finding,) = found(dead, learning_rate=1e-9)
    assert finding.actions[0].startswith("a higher learning rate")


def test_what_was_learnt_in_the_warm_up_was_learnt():
    stays = curve(
        300,
        lambda n: (4.25 if n > 10 else GUESS - n / 20) + 0.02 * math.sin(5 * n),
        learning_rate=lambda n: 0.3,
    )
    assert "learning_rate" not in names(found(stays[:60], total_steps=300, learning_rate=0.3))


@pytest.mark.parametrize("wild", [1e3, math.inf])
def test_gradients_that_explode_are_found_with_a_limit_as_the_remedy(wild):
    events = curve(60, lambda n: learnt(n, 60), grad_norm=lambda n: wild if n >= 40 else 0.8)
    (finding,) = [each for each in found(events) if each.rule == "exploding_gradients"]
    assert (finding.step, finding.began, finding.level) == (41, 39, "serious")
    assert finding.remedy is not None
    assert finding.remedy.gradient_clip == 0.5


def test_one_long_gradient_and_those_of_the_warm_up_are_no_explosion():
    events = curve(
        60, lambda n: learnt(n, 60), grad_norm=lambda n: 1e4 if n == 40 or n < 5 else 0.8
    )
    assert found(events) == []


def test_gradients_that_vanish_are_found_unless_all_is_learnt():
    vanish = {"grad_norm": lambda n: 1.0 if n < 40 else 1e-5}
    assert "vanishing_gradients" in names(found(curve(70, lambda n: GUESS - 0.01 * n, **vanish)))
    assert found(curve(70, lambda n: learnt(n, 70, 0.05), **vanish)) == []


def test_scores_that_rise_while_the_own_text_is_learnt_are_overfitting():
    scores = [eval_end(0, 4.0, 4.0), eval_end(40, 3.0, 2.8), eval_end(80, 3.1, 2.2)]
    worse = [*scores, eval_end(120, 3.4, 1.6), eval_end(160, 3.7, 1.0)]
    assert found(scores) == []
    told, sure = found(worse)
    assert (told.rule, told.step, told.remedy) == ("overfitting", 120, None)
    assert sure.step == 160
    assert "By now it is sure" in sure.meaning
    assert sure.meaning != told.meaning
    assert sure.remedy is not None
    assert sure.remedy.end_at_best
    assert sure.began == 40


def test_both_losses_that_rise_are_no_overfitting():
    scores = [eval_end(40, 3.0, 2.8), eval_end(80, 3.3, 3.1), eval_end(120, 3.6, 3.4)]
    assert found(scores) == []


def test_a_text_that_is_read_too_often_is_told_at_the_start():
    (finding,) = found([], train_tokens=1000)
    assert finding.rule == "too_little_text"
    assert "25.6 times" in finding.seen
    assert found([], train_tokens=1000, parameters=900) == []
    assert names(found([], train_tokens=30_000, parameters=10**7)) == ["too_little_text"]


def test_a_speed_that_falls_and_stays_low_is_told_once():
    slow = curve(200, lambda n: learnt(n, 200), tokens_per_second=lambda n: 1e3 if n < 50 else 20)
    assert names(found(slow)) == ["throughput"]
    moment = curve(
        200, lambda n: learnt(n, 200), tokens_per_second=lambda n: 20 if n in (50, 51, 52) else 1e3
    )
    assert found(moment) == []


def test_a_full_gpu_gets_smaller_micro_batches_and_a_full_machine_a_word():
    full = {"memory_peak_bytes": 95 * 10**8}
    (finding,) = found([step_end(1, **full), step_end(2, **full)], device="cuda")
    assert finding.remedy is not None
    assert finding.remedy.divided == 2
    assert found([step_end(1, **full)], device="cpu") == []
    # More than any machine has that this may run on, whose own memory counts too.
    full = {"memory_bytes": 95 * 10**13, "memory_total_bytes": 10**15}
    (finding,) = found([step_end(1, **full)], device="cpu")
    assert finding.remedy is None
    assert "95 %" in finding.seen


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=60), st.floats(0.1, 10), st.floats(-9, 9))
def test_noise_grows_with_the_scale_and_not_with_the_place(values, scale, shift):
    moved = [scale * value + shift for value in values]
    assert noise(moved) == pytest.approx(scale * noise(values), rel=1e-6, abs=1e-6)


def test_the_bound_of_the_noise_is_above_it_by_more_the_fewer_there_are():
    rng = random.Random(1)
    for count, hardly in ((6, 6.0), (20, 2.0), (400, 1.25)):
        drawn = [[rng.gauss(3, 0.2) for _ in range(count)] for _ in range(200)]
        bounds = sorted(noise_at_most(values) for values in drawn)
        assert bounds[8] > 0.9 * 0.2
        assert bounds[100] < hardly * 0.2
    assert noise_at_most([1.0]) == math.inf


def test_noise_is_the_standard_deviation_and_one_outlier_does_not_change_it():
    rng = random.Random(1)
    values = [rng.gauss(3, 0.2) for _ in range(400)]
    assert noise(values) == pytest.approx(0.2, rel=0.2)
    values[200] = 1e6
    assert noise(values) == pytest.approx(0.2, rel=0.2)
