"""The number of threads stays with a run. Sampled: one small model, from 1 to 2 and back."""

from __future__ import annotations

import pytest

from tests.faults.bench import Bench
from tests.faults.project import TOML
from tests.faults.threads import threads


@pytest.mark.slow
def test_a_run_keeps_its_number_of_threads(bench: Bench):
    assert threads(bench, TOML).wrong == []
