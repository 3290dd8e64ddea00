"""Numbers for people."""

from __future__ import annotations

import math

import pytest

from create_llm.cli.units import count, counted, duration, rate, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3600.0, "1 h 00 min"),
        (90_000.0, "1 d 01 h"),
        (-1.0, "?"),
        (math.inf, "?"),
    ],
)
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (999.7, "1,000"), (7_890_000_000, "7,890,000,000")]
)
def test_counts(number: float, text: str):
    assert count(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0.0 kB"), (340, "0.3 kB"), (99_999, "100.0 kB"), (100_000, "0.1 MB"), (10**9, "1.00 GB")],
)
def test_sizes(number: int, text: str):
    assert size(number) == text


def test_a_count_of_what_is_not_finite_is_unknown():
    assert count(math.nan) == count(math.inf) == "?"


def test_one_is_no_plural():
    assert [counted(n, "step") for n in (0, 1, 4179)] == ["0 steps", "1 step", "4,179 steps"]


@pytest.mark.parametrize(
    ("number", "text"), [(1e-3, "0.001"), (2.5e-4, "0.00025"), (3e-05, "3e-05"), (0.0, "0")]
)
def test_learning_rates_are_written_as_in_llm_toml(number: float, text: str):
    assert rate(number) == text
