"""What is advised of a learning rate: by what is usual, and by what the run does."""

from __future__ import annotations

import pytest

from create_llm_guard.rules.advice import (
    MORE_TEXT,
    larger_model,
    longer_warmup,
    more_dropout,
    more_steps,
    smaller_model,
)
from create_llm_guard.rules.base import Run
from create_llm_guard.usual import usual_rate

from .story import found, step_end, train_start


def config(rate=3e-3, template="nano", optimizer="adamw", model=(), **training):
    given = {"learning_rate": rate, "optimizer": optimizer, "warmup_steps": 10, **training}
    return {"project": {"template": template}, "training": given, "model": dict(model)}


def run_with(**changes):
    return Run.of(train_start(**changes))


def test_the_usual_rate_is_that_of_the_template_for_the_same_optimizer():
    usual = usual_rate(config(1.0))
    assert usual is not None
    assert 1e-4 < usual < 1e-2
    assert usual_rate(config(1.0, template="none of these")) is None
    assert usual_rate(config(1.0, optimizer="sgd")) is None
    assert usual_rate({}) is None


@pytest.mark.parametrize(
    ("rate", "slower", "faster"),
    [(5.0, "0.003", "50"), (0.01, "0.003", "0.1"), (1e-9, "3e-10", "0.003")],
)
def test_a_rate_far_off_is_answered_by_the_usual_one(rate, slower, faster):
    run = Run.of(train_start(config=config(rate)))
    assert run.slower().endswith(f"--learning-rate {slower}")
    assert run.faster().endswith(f"--learning-rate {faster}")


def test_after_a_remedy_advice_goes_on_from_what_the_run_does_now():
    start = train_start(learning_rate=9e-4, gradient_clip=0.5)
    run = Run.of(start)
    assert run.slower().endswith("--learning-rate 0.00027")
    assert run.clip == 0.5
    wild = [step_end(n, grad_norm=1e4 if n > 30 else 1.0) for n in range(1, 40)]
    (finding,) = found(wild, learning_rate=9e-4, gradient_clip=0.5)
    assert finding.remedy is not None
    assert finding.remedy.gradient_clip == 0.25


def test_at_the_start_a_rate_far_off_is_noted_with_the_command():
    for rate, word in ((0.1, "lower"), (2e-5, "higher")):
        (note,) = found([], config=config(rate), learning_rate=rate)
        assert (note.rule, note.level, note.step) == ("learning_rate", "note", 0)
        assert (
            note.seen
            == f"the learning rate is {rate:.2g}, and 0.003 in the template of this project"
        )
        assert note.actions == (
            f"a {word} learning rate: llm train --resume never --learning-rate 0.003",
        )
    for usual in (0.08, 3e-3, 4e-5):
        assert found([], config=config(usual)) == []
    assert found([], config=config(30, optimizer="sgd")) == []


def test_a_rate_far_below_the_usual_one_is_told_after_eight_logs():
    def logged(rate):
        steps = [step_end(10 * n, 5.7, learning_rate=rate) for n in range(1, 60)]
        return [each.step for each in found(steps, config=config(rate), total_steps=2000)]

    assert logged(1e-6) == [0, 90]
    assert logged(2e-4) == [210]


@pytest.mark.parametrize(
    ("layers", "larger", "smaller"), [(4, "6", "2"), (3, "4", "1"), (1, "2", None), (None,) * 3]
)
def test_another_size_is_told_in_numbers_where_the_present_one_is_known(layers, larger, smaller):
    run = run_with(config=config(model={"layers": layers} if layers else {}))
    command = ": llm train --resume never --set model.layers="
    assert larger_model(run) == "a larger model" + (command + larger if larger else "")
    assert smaller_model(run) == "a smaller model" + (command + smaller if smaller else "")


def test_the_size_of_a_model_that_was_given_is_not_changed():
    run = run_with(config=config(model={"layers": 4}, init="v1"))
    assert (larger_model(run), smaller_model(run)) == ("a larger model", "a smaller model")


def test_a_longer_warm_up_takes_a_tenth_of_the_run_which_is_the_most():
    assert longer_warmup(run_with(config=config(), total_steps=300)) == (
        "a longer warm-up: llm train --resume never --set training.warmup_steps=30",
    )
    assert longer_warmup(run_with(config=config(), total_steps=100)) == ()


def test_dropout_goes_on_from_what_there_is():
    assert more_dropout(run_with(config=config(model={"dropout": 0.0}))).endswith("dropout=0.1")
    assert more_dropout(run_with(config=config(model={"dropout": 0.1}))).endswith("dropout=0.2")
    assert "--set" not in more_dropout(run_with(config=config()))


def test_more_steps_are_twice_as_many_of_what_ended_the_run():
    assert more_steps(run_with(config=config(max_steps=200))) == (
        "more steps: llm train --resume never --max-steps 400"
    )
    short = config(max_steps=9000, epochs=3)
    assert more_steps(run_with(config=short)) == "a longer run: training.epochs = 6"
    short = config(max_steps=9000, max_seconds=30.0)
    assert more_steps(run_with(config=short)) == "a longer run: training.max_seconds = 60"


def test_more_steps_are_not_advised_where_the_text_would_be_read_too_often():
    assert found([], train_tokens=1500) == []
    assert more_steps(run_with(train_tokens=1500)) == MORE_TEXT


def test_fewer_passes_are_advised_only_of_a_text_that_is_enough_for_a_run():
    (finding,) = found([], train_tokens=700, total_steps=2000)
    assert finding.actions[-1] == "fewer passes: llm train --resume never --max-steps 22"
    (finding,) = found([], train_tokens=100)
    assert finding.actions == (MORE_TEXT, "a smaller model")
    (finding,) = found([], train_tokens=50_000, parameters=10**8)
    assert not any("fewer passes" in each for each in finding.actions)


def test_no_advice_holds_a_gap_to_be_filled_in():
    stays = [
        step_end(n, max(5.7 - n / 20, 4.0), grad_norm=1e3 if n > 150 else 1) for n in range(200)
    ]
    blown = [step_end(n, 90.0, grad_norm=1e-9) for n in range(1, 60)]
    findings = [*found(stays, train_tokens=500), *found(blown, config=config())]
    rules = {each.rule for each in findings}
    assert {"plateau", "exploding_gradients", "vanishing_gradients", "divergence"} <= rules
    assert not any("…" in each for finding in findings for each in finding.actions)
