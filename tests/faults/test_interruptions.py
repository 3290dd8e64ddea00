"""Kills, power losses and errors of the system in a real training run.

Sampled: 8 of the kill points, 20 random moments, 4 chains of kills, 8 power losses, 8 errors;
`make faults` goes through all of them.
"""

from __future__ import annotations

import pytest

from tests.faults.bench import Bench
from tests.faults.errnos import errors
from tests.faults.kills import moments, recoveries, sweep
from tests.faults.project import TRAIN
from tests.faults.replays import replays
from tests.faults.seam import ANY, Fault


def test_a_kill_at_any_operation_loses_nothing(bench: Bench):
    figures = sweep(bench, 8)
    assert figures.wrong == []
    assert figures.numbers["kills"] == figures.numbers["trials"]


def test_a_kill_at_any_moment_loses_nothing(bench: Bench):
    figures = moments(bench, 20)
    assert figures.wrong == []
    assert figures.numbers["kills"] > 10


@pytest.mark.slow
def test_kills_of_the_runs_that_go_on_lose_nothing(bench: Bench):
    figures = recoveries(bench, 4)
    assert figures.wrong == []
    assert figures.numbers["kills"] > 4


def test_a_power_loss_loses_nothing(bench: Bench):
    assert replays(bench, 8).wrong == []


def test_an_error_of_the_system_loses_nothing(bench: Bench):
    figures = errors(bench, 8)
    assert figures.wrong == []
    assert figures.numbers["exit 74"] > 4


def test_the_seam_strikes_where_it_is_told_to(bench: Bench):
    project = bench.project()
    ending = bench.servers[0].run(project, TRAIN, [Fault(ANY, "kill", skip=7)])
    assert ending.killed
    assert [operation.done for operation in ending.operations] == [True] * 7 + [False]
