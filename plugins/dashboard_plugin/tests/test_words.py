"""What others wrote, and losses, as a page shows them."""

from __future__ import annotations

import pytest

from create_llm_dashboard.words import nats, shown


def test_a_text_is_shown_without_what_steers_a_terminal_and_not_without_end():
    assert "\x1b" not in shown("\x1b[31mred")
    assert len(shown("a" * 10**6)) < 5000
    assert shown("a" * 10**6).endswith("…")
    assert [shown(odd) for odd in (None, 5, ["a"])] == ["", "", ""]


@pytest.mark.parametrize(
    ("loss", "told"), [(3.14159, "3.14"), (12345.678, "12345.68"), (1e30, "1e+30")]
)
def test_a_loss_has_two_digits_unless_it_is_huge(loss, told):
    assert nats(loss) == told
