"""A run that goes back, killed while it does: sampled; `make faults` kills it everywhere."""

from __future__ import annotations

import pytest

from tests.faults.bench import Bench, spread
from tests.faults.rewind import Stage, killed_later, rewind, set_stage


@pytest.fixture(scope="module")
def stage(bench: Bench) -> Stage:
    return set_stage(bench)


def test_a_kill_while_a_run_goes_back_is_finished_by_the_next_start(bench: Bench, stage: Stage):
    figures = rewind(bench, stage, spread(stage.moments, 6))
    assert figures.wrong == []


def test_saying_too_early_that_all_is_removed_is_noticed(bench: Bench, stage: Stage):
    wrong = rewind(bench, stage, [stage.too_early], mutant="early").wrong
    assert wrong
    assert "the final weights are not those of the undisturbed run" in wrong[0]


def test_a_run_that_went_back_and_is_killed_later_ends_with_the_same_bytes(
    bench: Bench, stage: Stage
):
    assert killed_later(bench, stage) == []
