"""The preset sprint: one recipe for a time and a text."""

from __future__ import annotations

import pytest

from create_llm_templates.sprint import SPRINT, sprint


def test_more_time_never_makes_a_smaller_model() -> None:
    dims = [sprint(seconds, 10**6).values["model"]["dim"] for seconds in (1, 59, 60, 300, 1e5)]
    assert dims == sorted(dims)
    assert len(set(dims)) > 2


def test_more_text_never_makes_a_smaller_vocabulary() -> None:
    sizes = [
        sprint(60, count).values["tokenizer"]["vocab_size"] for count in (0, 10**5, 10**7, 10**9)
    ]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 2


@pytest.mark.parametrize("seconds", [1, 100, 1000, 10**5])
def test_a_preset_differs_in_its_size_and_time_alone(seconds: float) -> None:
    values = sprint(seconds, 10**6).values
    assert values["training"] == {**SPRINT.values["training"], "max_seconds": seconds}
    assert values["model"]["dim"] % values["model"]["heads"] == 0
