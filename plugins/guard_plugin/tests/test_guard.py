"""What the guard does about findings, by its policy, and how it judges a run."""

from __future__ import annotations

import json
import math

import pytest

from create_llm.runs.events import CheckpointSaved, Diverged, EventLog, TrainEnd
from create_llm.training.callbacks import Overrides, Retry, Signal, Warn
from create_llm.training.dispatch import METHODS
from create_llm_guard.callback import Guard
from create_llm_guard.config import GuardConfig
from create_llm_guard.rules.base import Run
from create_llm_guard.score import quality

from .story import GUESS, curve, eval_end, found, healthy, learnt, step_end, train_start


def tell(guard, *events):
    """All that it answers."""
    answers = []
    for event in events:
        answer = getattr(guard, METHODS[event.name])(event)
        answers += answer if isinstance(answer, list) else [answer]
    return [answer for answer in answers if answer is not None]


def saved(step):
    return CheckpointSaved(step=step, path=f"step-{step}", reason="interval", seconds=0.1)


def end(step=200, status="completed", error=None):
    return TrainEnd(
        step=step,
        status=status,
        stopped_by="max_steps",
        seconds=1.0,
        train_loss=None,
        val_loss=None,
        val_bits_per_byte=None,
        error=error,
    )


def guard(policy="auto", **options):
    return Guard(GuardConfig(on_anomaly=policy, **options))


def start_at(folder, **changes):
    return train_start(folder, **{"total_steps": 120, **changes})


SPOILT = curve(120, lambda n: learnt(n, 120) + 3 * (n >= 80))


@pytest.mark.parametrize(
    ("policy", "expected"), [("auto", Retry), ("pause", Signal), ("warn", type(None))]
)
def test_a_run_that_diverges_meets_the_policy(tmp_path, policy, expected):
    events = [start_at(tmp_path), *SPOILT[:70], saved(70), *SPOILT[70:82], saved(82)]
    told, *acted = tell(guard(policy), *events, *SPOILT[82:])
    assert isinstance(told, Warn)
    assert told.level == "serious"
    assert told.suggestion is not None
    assert "--learning-rate 0.0009" in told.suggestion
    assert [type(answer) for answer in acted] == [expected][: expected is not type(None)]
    if expected is Retry:
        assert (acted[0].step, acted[0].overrides) == (70, Overrides(learning_rate=0.3))
    if expected is Signal:
        assert acted == [Signal.PAUSE]


def test_unset_it_pauses_where_somebody_is_and_remedies_where_nobody_is(tmp_path):
    for attended, expected in ((True, Signal), (False, Retry)):
        policy = Guard(GuardConfig(), attended=lambda attended=attended: attended)
        answers = tell(policy, start_at(tmp_path), *SPOILT)
        assert isinstance(answers[-1], expected)


def test_it_never_pauses_for_what_spoils_nothing(tmp_path):
    answers = tell(guard("pause"), start_at(tmp_path, train_tokens=500))
    assert [type(answer) for answer in answers] == [Warn]


def test_without_a_stable_checkpoint_it_begins_anew_and_slower(tmp_path):
    (*_, retry) = tell(guard(), start_at(tmp_path), *SPOILT)
    assert (retry.step, retry.overrides.learning_rate) == (0, 0.1)


def test_its_remedies_are_counted_over_all_sessions(tmp_path):
    spent = guard(max_remedies=2)
    assert [type(a) for a in tell(spent, start_at(tmp_path, remedies=2), *SPOILT)] == [Warn]


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_number_that_is_none_goes_back_to_the_newest_checkpoint(tmp_path, clip):
    config = {"training": {"learning_rate": 0.1, "gradient_clip": clip}}
    start = start_at(tmp_path, config=config)
    told, retry = tell(guard(), start, saved(10), saved(20), Diverged(step=27, message="nan"))
    assert told.level == "serious"
    assert (retry.step, retry.overrides) == (20, Overrides(0.3, None if clip else 1.0))
    for policy in ("pause", "warn"):
        answers = tell(guard(policy), start, Diverged(step=27, message="nan"))
        assert not any(isinstance(answer, Retry) for answer in answers)


def test_a_model_that_learns_by_heart_ends_at_its_best(tmp_path):
    scores = [eval_end(40, 3.0, 2.8), eval_end(80, 3.4, 2.2), eval_end(120, 3.6, 1.6)]
    answers = tell(guard(), start_at(tmp_path), *scores, eval_end(160, 3.8, 1.0))
    assert [type(answer) for answer in answers] == [Warn, Warn, Retry]
    assert answers[-1].overrides == Overrides(end_at_best=True)


def test_a_full_gpu_goes_on_from_where_it_is(tmp_path):
    full = step_end(5, memory_peak_bytes=95 * 10**8)
    _, retry = tell(guard(), start_at(tmp_path, device="cuda"), full)
    assert (retry.step, retry.overrides) == (None, Overrides(divided=2))


def test_after_a_resume_it_knows_what_was_and_says_nothing_twice(tmp_path):
    log = EventLog(tmp_path / "events.jsonl", session=1)
    first = guard("pause")
    for event in (start_at(tmp_path, train_tokens=500), *SPOILT[:90]):
        log.append(event)
        tell(first, event)
    again = start_at(tmp_path, step=90, resumed_from=90, train_tokens=500)
    log.append(again)
    second = guard("pause")
    assert tell(second, again, *SPOILT[90:]) == []
    tell(second, eval_end(120, learnt(120, 120) + 3), end(120))
    report = json.loads((tmp_path / "guard.json").read_text())
    assert [each["rule"] for each in report["findings"]] == ["too_little_text", "divergence"]
    assert report["score"] <= 10
    assert "risen" in report["reasons"][0]["why"]


def test_what_was_left_behind_is_forgotten(tmp_path):
    log = EventLog(tmp_path / "events.jsonl", session=1)
    for event in (start_at(tmp_path), *SPOILT):
        log.append(event)
    again = start_at(tmp_path, step=70, resumed_from=70, remedies=1)
    log.append(again)
    well = curve(120, lambda n: learnt(n, 120))[70:]
    assert tell(guard(), again, *well) == []


def test_the_end_is_told_as_a_note_with_what_to_do(tmp_path):
    events = healthy(200, 2, 1, 0.05)
    (verdict,) = tell(guard(), start_at(tmp_path), *events, end())
    assert verdict.level == "note"
    assert verdict.message.startswith("quality ")
    report = json.loads((tmp_path / "guard.json").read_text())
    assert report["schema"] == 1
    assert report["status"] == "completed"
    assert report["score"] >= 90
    assert 1 <= len(report["suggestions"]) <= 3
    assert sum(each["points"] for each in report["reasons"]) == report["score"]


def test_what_ended_early_is_not_judged_aloud(tmp_path):
    for status in ("paused", "interrupted", "failed", "rewound"):
        assert tell(guard(), start_at(tmp_path), eval_end(5, 4.0), end(5, status)) == []


RUN = Run.of(train_start())


def judged(*scores, findings=(), spoilt=None):
    return quality(RUN, [eval_end(40 * n, *each) for n, each in enumerate(scores)], findings,
                   spoilt=spoilt).score  # fmt: skip


def test_scores_order_runs_as_a_person_would():
    excellent = judged((4.0, 3.95), (2.6, 2.55), (2.4, 2.3))
    middling = judged((5.0, 4.9), (4.2, 4.1), (4.0, 3.8))
    by_heart = judged((4.0, 3.9), (2.9, 2.4), (3.6, 1.0), findings=found([], train_tokens=500))
    nothing = judged((GUESS, GUESS), (GUESS, GUESS))
    diverged = judged((4.0, 3.9), (2.4, 2.3), (9.0, 9.0), spoilt="the loss has risen")
    assert excellent >= 95
    assert excellent > middling > by_heart > diverged
    assert nothing <= 5
    assert diverged <= 10


def test_a_run_without_a_score_has_none_and_one_that_is_no_number_counts_as_nothing():
    assert judged() is None
    assert judged((math.nan, math.nan), spoilt="nan") == 0
