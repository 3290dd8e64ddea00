"""What a run says where it is not as it was asked to be."""

import pytest

from create_llm.training.schedule import Schedule
from create_llm.training.words import shorter_warmup


@pytest.mark.parametrize(
    ("steps", "used"), [(8, "there is no warm-up"), (300, "the warm-up takes 30")]
)
def test_a_warm_up_that_is_cut_short_is_told_with_what_is_left_of_it(steps, used):
    told = shorter_warmup(Schedule(1e-3, 1200, steps, 0.1))
    assert told.endswith(used)
    assert f"1,200 is more than a tenth of the {steps} steps" in told
