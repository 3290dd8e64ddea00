"""What the guard does about findings, by its policy, and how it judges a run."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest

from create_llm.runs.events import Diverged, EventLog, TrainEnd
from create_llm.training.callbacks import Overrides, Pause, Retry, Warn
from create_llm.training.dispatch import METHODS
from create_llm.training.remedies import Remedy
from create_llm_guard.callback import Guard
from create_llm_guard.config import GuardConfig
from create_llm_guard.report import with_what_was_done
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


def report_of(folder):
    return json.loads((folder / "guard.json").read_text())


def start_at(folder, **changes):
    return train_start(folder, **{"total_steps": 120, **changes})


SPOILT = curve(120, lambda n: learnt(n, 120) + 3 * (n >= 80))


@pytest.mark.parametrize(
    ("policy", "expected"), [("auto", Retry), ("pause", Pause), ("warn", type(None))]
)
def test_a_run_that_diverges_meets_the_policy(tmp_path, policy, expected):
    told, *acted = tell(guard(policy), start_at(tmp_path), *SPOILT)
    assert isinstance(told, Warn)
    assert told.level == "serious"
    assert told.suggestion is not None
    assert "--learning-rate 0.0009" in told.suggestion
    assert [type(answer) for answer in acted] == [expected][: expected is not type(None)]
    if expected is Retry:
        assert (acted[0].step, acted[0].overrides) == (79, Overrides(learning_rate=0.3))
        assert acted[0].from_beginning == Overrides(learning_rate=0.1)
    if expected is Pause:
        assert acted[0].reason == told.message
        assert "; or ".join(acted[0].suggestions) == told.suggestion


def test_unset_it_pauses_where_somebody_is_and_remedies_where_nobody_is(tmp_path):
    for attended, expected in ((True, Pause), (False, Retry)):
        policy = Guard(GuardConfig(), attended=lambda attended=attended: attended)
        answers = tell(policy, start_at(tmp_path), *SPOILT)
        assert isinstance(answers[-1], expected)


def test_it_never_pauses_for_what_spoils_nothing(tmp_path):
    answers = tell(guard("pause"), start_at(tmp_path, train_tokens=500))
    assert [type(answer) for answer in answers] == [Warn]


def test_its_remedies_are_counted_over_all_sessions(tmp_path):
    spent = guard(max_remedies=2)
    assert [type(a) for a in tell(spent, start_at(tmp_path, remedies=2), *SPOILT)] == [Warn]


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_from_a_number_that_is_none_it_goes_back_to_the_newest_checkpoint(tmp_path, clip):
    config = {"training": {"learning_rate": 0.1, "gradient_clip": clip}}
    start = start_at(tmp_path, config=config)
    told, retry = tell(guard(), start, Diverged(step=27, message="nan"))
    assert told.level == "serious"
    limit = None if clip else 1.0
    assert (retry.step, retry.overrides) == (27, Overrides(0.3, limit))
    assert retry.from_beginning == Overrides(0.1, limit)
    _, behind = tell(guard(), start, eval_end(20, math.nan))
    assert behind.step == 19
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


def test_what_is_found_again_after_a_kill_counts_once(tmp_path):
    log = EventLog(tmp_path / "events.jsonl", session=1)
    first = guard("warn")
    for event in (start_at(tmp_path), *SPOILT[:90]):
        log.append(event)
        tell(first, event)
    again = start_at(tmp_path, step=60, resumed_from=60)
    log.append(again)
    second = guard("warn")
    assert [type(each) for each in tell(second, again, *SPOILT[60:])] == [Warn]
    report = json.loads((tmp_path / "guard.json").read_text())
    assert [each["rule"] for each in report["findings"]] == ["divergence"]


def test_the_report_says_what_was_done_and_not_what_was_planned(tmp_path):
    told, retry = tell(guard(), start_at(tmp_path), *SPOILT)
    assert told.level == "serious"
    (planned,) = json.loads((tmp_path / "guard.json").read_text())["findings"]
    assert planned["remedy"] is None
    done = {
        "at_step": planned["step"],
        "from_step": 0,
        "reason": retry.reason,
        "overrides": asdict(retry.from_beginning),
    }
    run = {"command": ["llm", "train", "--seed", "3"], "remedies": [done]}
    (tmp_path / "run.json").write_text(json.dumps(run))
    again = start_at(tmp_path, resumed_from=0, remedies=1, learning_rate=3e-4)
    tell(guard(), again, *curve(120, lambda n: learnt(n, 120)), eval_end(120, 2.1), end(120))
    report = json.loads((tmp_path / "guard.json").read_text())
    assert report["findings"][0]["remedy"]["learning_rate"] == 0.1
    assert report["suggestions"] == [
        "begin with what held in the end: llm train --seed 3 --resume never --learning-rate 0.0003"
    ]


def test_of_findings_in_the_same_words_each_has_its_own_remedy():
    same = 3 * [finding for finding in found(SPOILT, total_steps=120) if finding.remedy]
    remedies = [Remedy(27, 20, same[0].reason, Overrides(rate)) for rate in (0.3, 0.1)]
    told = with_what_was_done(same, remedies)
    assert [each.remedy for each in told] == [Overrides(0.3), Overrides(0.1), None]


def test_what_the_run_did_something_about_is_not_gone_back_for_again(tmp_path):
    log = EventLog(tmp_path / "events.jsonl", session=1)
    scores = [eval_end(40 * n, 3.0 + 0.4 * n, 3.0 - 0.6 * n) for n in range(5)]
    first = guard()
    for event in (start_at(tmp_path), *scores):
        log.append(event)
    (*_, retry) = tell(first, start_at(tmp_path), *scores)
    done = {"at_step": 120, "from_step": 120, "reason": retry.reason}
    overrides = asdict(Overrides())  # the best was damaged
    (tmp_path / "run.json").write_text(json.dumps({"remedies": [done | {"overrides": overrides}]}))
    assert tell(guard(), start_at(tmp_path, step=120, resumed_from=120, remedies=1)) == []


def test_a_model_worse_than_guessing_is_of_no_use_whatever_came_before(tmp_path):
    (verdict,) = tell(guard(), start_at(tmp_path), eval_end(120, GUESS + 0.5), end(120))
    report = json.loads((tmp_path / "guard.json").read_text())
    assert report["score"] == 0
    assert "of no use" in verdict.message


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


def test_who_learns_by_heart_is_not_told_to_learn_longer_or_with_more(tmp_path):
    scores = [eval_end(40, 5.0, 4.9), eval_end(80, 5.4, 2.2), eval_end(120, 5.6, 1.6)]
    tell(guard("warn"), start_at(tmp_path, train_tokens=500), *scores, end(120))
    todo = json.loads((tmp_path / "guard.json").read_text())["suggestions"]
    assert len(todo) == 2
    assert not any("larger" in each or "more steps" in each for each in todo)


def test_the_words_of_a_reason_agree_with_its_points(tmp_path):
    (verdict,) = tell(guard(), start_at(tmp_path), eval_end(120, 0.79 * GUESS), end(120))
    assert "quality 0 of 100, of no use yet: it has learnt little more than how" in verdict.message
    why = [each["why"] for each in report_of(tmp_path)["reasons"]]
    assert "it was at its best at the end, which is worth nothing yet" in why
    (verdict,) = tell(guard(), start_at(tmp_path), eval_end(120, 0.55 * GUESS), end(120))
    assert "quality 89 of 100, good for its size: it has learnt some of what" in verdict.message
    assert report_of(tmp_path)["reasons"][-1]["why"] == "nothing went wrong"


@pytest.mark.parametrize(
    ("share", "word"), [(0.9, "of no use yet"), (0.66, "young"), (0.6, "fair"), (0.5, "good for")]
)
def test_a_score_is_told_with_what_it_means_in_two_lines(tmp_path, share, word):
    scores = [eval_end(60, 0.95 * GUESS), eval_end(120, share * GUESS)]
    (verdict,) = tell(guard(), start_at(tmp_path), *scores, end(120))
    assert f"of 100, {word}" in verdict.message
    assert len(verdict.message) <= 200
    assert report_of(tmp_path)["word"].startswith(word)


@pytest.mark.parametrize("share", [0.98, 1.0, 1.015])
def test_a_model_as_good_as_guessing_has_learnt_nothing(tmp_path, share):
    (verdict,) = tell(guard(), start_at(tmp_path), eval_end(120, share * GUESS), end(120))
    assert "quality 0 of 100, of no use yet: it has learnt nothing: " in verdict.message


@pytest.mark.parametrize("share", [0.72, 0.66, 0.6])
def test_a_young_run_that_is_well_is_told_to_take_more_steps_and_no_more(tmp_path, share):
    scores = [eval_end(60, 0.9 * GUESS), eval_end(120, share * GUESS)]
    (verdict,) = tell(guard(), start_at(tmp_path), *scores, end(120))
    assert verdict.suggestion == "more steps: llm train --resume never --max-steps 240"


def test_what_is_weak_in_a_young_model_is_told_instead_of_more_steps(tmp_path):
    scores = [eval_end(60, 0.66 * GUESS), eval_end(120, 0.72 * GUESS)]
    tell(guard(), start_at(tmp_path), *scores, end(120))
    assert report_of(tmp_path)["suggestions"] == [
        "end where it was best: llm train --resume never --max-steps 60"
    ]
    tell(guard(), start_at(tmp_path), eval_end(120, 0.72 * GUESS, 0.4 * GUESS), end(120))
    assert report_of(tmp_path)["suggestions"][0].startswith("more text")


def test_a_model_worse_than_guessing_is_not_told_to_take_more_steps(tmp_path):
    tell(guard("warn"), start_at(tmp_path), eval_end(10, 1.1 * GUESS), end(120))
    (todo,) = report_of(tmp_path)["suggestions"]
    assert todo.startswith("a lower learning rate")


def test_a_note_about_the_rate_costs_no_points_and_is_no_suggestion(tmp_path):
    config = {
        "project": {"template": "nano"},
        "training": {"learning_rate": 0.1, "optimizer": "adamw"},
    }
    note, _ = tell(guard(), start_at(tmp_path, config=config), eval_end(120, 0.5 * GUESS), end(120))
    assert note.level == "note"
    report = report_of(tmp_path)
    assert (report["score"], report["suggestions"][0][:10]) == (100, "more steps")


@pytest.mark.parametrize(("rate", "slower"), [(5.0, 6e-4), (30.0, 1e-4), (0.01, 0.3)])
def test_far_above_the_usual_rate_the_remedy_leads_to_it(tmp_path, rate, slower):
    training = {"learning_rate": rate, "optimizer": "adamw", "warmup_steps": 10}
    config = {"project": {"template": "nano"}, "training": training}
    wild = [step_end(n, grad_norm=1e4 if n > 30 else 1.0) for n in range(1, 40)]
    for events in (SPOILT, wild, [Diverged(step=27, message="nan")], [eval_end(20, math.nan)]):
        retry = tell(guard(), start_at(tmp_path, config=config), *events)[-1]
        assert retry.overrides.learning_rate == pytest.approx(slower)
        assert retry.from_beginning.learning_rate == pytest.approx(min(slower, 0.1))
    again = start_at(tmp_path, config=config, learning_rate=3e-3, remedies=1)
    retry = tell(guard(), again, *SPOILT)[-1]
    assert (retry.overrides.learning_rate, retry.from_beginning.learning_rate) == (0.3, 0.1)


def test_of_no_number_it_says_in_its_own_words_when_it_came(tmp_path):
    core = "stopped being a number at step 1034, in the batch of windows 1203, 1036, …"
    told, *_ = tell(guard("warn"), start_at(tmp_path), Diverged(step=1034, message=core))
    seen = "the loss, a gradient or a weight became no number (NaN) at step 1,034"
    assert told.message.startswith(f"{seen}. Numbers grew")
    (verdict,) = tell(guard("warn"), start_at(tmp_path), Diverged(step=1034, message=core),
                      end(1034, "diverged", core)) [1:] or [None]  # fmt: skip
    assert verdict.message == f"quality 0 of 100, of no use yet: {seen}"
    assert "windows" not in (tmp_path / "guard.json").read_text()
    later, *_ = tell(guard("warn"), start_at(tmp_path), Diverged(step=1040, message=core))
    assert "(NaN) by step 1,040." in later.message


def test_of_a_score_that_is_no_number_a_checkpoint_may_be_there(tmp_path):
    told, *_ = tell(guard("warn"), start_at(tmp_path), eval_end(20, math.nan))
    assert told.message.startswith("the validation loss became no number (NaN) at step 20. ")
    assert "saved" not in told.message
    assert "a checkpoint of this step is of no use" in told.message


@pytest.mark.parametrize(
    ("rate", "first"),
    [(1.0, "a lower learning rate:"), (1e-6, "a higher"), (3e-3, "more steps: ")],
)
def test_who_learnt_little_at_a_rate_far_off_is_told_the_usual_one(tmp_path, rate, first):
    training = {"learning_rate": rate, "optimizer": "adamw", "warmup_steps": 10}
    config = {"project": {"template": "nano"}, "training": training}
    score = eval_end(120, 0.74 * GUESS)
    tell(guard("warn"), start_at(tmp_path, config=config), score, end(120))
    todo = json.loads((tmp_path / "guard.json").read_text())["suggestions"]
    assert todo[0].startswith(first)
    assert ("--learning-rate 0.003" in todo[0]) == (rate != 3e-3)


RUN = Run.of(train_start())


def judged(*scores, findings=(), spoilt=None):
    return quality(RUN, [eval_end(40 * n, *each) for n, each in enumerate(scores)], findings,
                   spoilt=spoilt).score  # fmt: skip


def test_scores_order_runs_as_a_person_would():
    excellent = judged((4.0, 3.95), (2.6, 2.55), (2.4, 2.3))
    middling = judged((5.0, 4.9), (3.8, 3.7), (3.5, 3.4))
    by_heart = judged((4.0, 3.9), (2.9, 2.4), (3.6, 1.0), findings=found([], train_tokens=500))
    nothing = judged((GUESS, GUESS), (GUESS, GUESS))
    counts_tokens = judged((5.0, 5.0), (0.76 * GUESS, 0.76 * GUESS))
    diverged = judged((4.0, 3.9), (2.4, 2.3), (9.0, 9.0), spoilt="the loss has risen")
    assert excellent >= 95
    assert excellent > middling > by_heart > diverged
    assert nothing == counts_tokens == 0
    assert diverged <= 10


def test_a_run_without_a_score_has_none_and_one_that_is_no_number_counts_as_nothing():
    assert judged() is None
    assert judged((math.nan, math.nan), spoilt="nan") == 0
