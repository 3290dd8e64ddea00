"""What is advised of a learning rate: by what is usual, and by what the run does."""

from __future__ import annotations

import pytest

from create_llm_guard.rules.base import Run
from create_llm_guard.usual import usual_rate

from .story import found, step_end, train_start


def config(rate, template="nano", optimizer="adamw"):
    training = {"learning_rate": rate, "optimizer": optimizer, "warmup_steps": 10}
    return {"project": {"template": template}, "training": training}


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
