"""What to do, told apart."""

from __future__ import annotations

import pytest

from create_llm_dashboard.advice import advice


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("more text", ("more text",)),
        ("slower: llm train --lr 1; or more text", ("slower: llm train --lr 1", "more text")),
        ("a model's text; another", ("a model's text", "another")),
        ("say llm generate --prompt 'a; b'", ("say llm generate --prompt 'a; b'",)),
        ('llm generate --prompt "a; or b"; or more', ('llm generate --prompt "a; or b"; or more',)),
        ("less (this; or that); more", ("less (this; or that); more",)),
        (" ", ()),
        (None, ()),
        (7, ()),
    ],
)
def test_a_suggestion_is_parted_where_that_is_safe(given: object, parts: tuple[str, ...]):
    assert advice(given) == parts
