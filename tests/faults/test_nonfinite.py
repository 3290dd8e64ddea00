"""Numbers that are no numbers, through a plugin. Sampled: 8 of the 48 places."""

from __future__ import annotations

from tests.faults.bench import Bench
from tests.faults.nonfinite import nonfinite


def test_no_bad_number_is_saved(bench: Bench):
    figures = nonfinite(bench, 8)
    assert figures.wrong == []
    assert figures.numbers["trials"] == 8
