"""The train/validation split of documents."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from create_llm.data.split import is_validation, split_position, utf8_size, working_fraction
from create_llm.errors import DataError

TEXTS = [f"document {number}" for number in range(2000)]


def sides(texts, fraction):
    return {is_validation(text, fraction) for text in texts}


def test_positions_are_pinned():
    # Another hash would move documents between the sides of corpora that are in use.
    assert split_position("To be, or not to be") == 0.7053506273871666
    assert split_position("") == 0.8931675160897388
    assert split_position("\ud800") == 0.2579417374386034


def test_the_share_is_about_the_fraction():
    for fraction in (0.01, 0.1, 0.5):
        kept = sum(is_validation(text, fraction) for text in TEXTS)
        spread = math.sqrt(len(TEXTS) * fraction * (1 - fraction))
        assert abs(kept - fraction * len(TEXTS)) < 4 * spread


def test_a_larger_fraction_only_adds_documents():
    small = {text for text in TEXTS if is_validation(text, 0.1)}
    large = {text for text in TEXTS if is_validation(text, 0.2)}
    assert small < large


def test_the_fraction_stands_where_both_sides_have_documents():
    assert working_fraction(TEXTS, 0.1) == 0.1


def test_only_as_much_is_read_as_the_answer_needs():
    read = []
    working_fraction((read.append(text) or text for text in TEXTS), 0.5)
    assert len(read) < 30


@settings(deadline=None)
@given(
    st.sets(st.text(min_size=1), min_size=2, max_size=8),
    st.floats(min_value=1e-9, max_value=1 - 1e-9),
)
def test_neither_side_is_ever_empty(texts, fraction):
    padded = [text + "x" * 100 for text in sorted(texts)]
    assert sides(padded, working_fraction(padded, fraction)) == {True, False}


def test_the_document_nearest_the_threshold_goes_over():
    ordered = sorted(TEXTS, key=split_position)
    upper, lower = ordered[-20:], ordered[:20]
    low_end = [text for text in upper if is_validation(text, working_fraction(upper, 0.1))]
    assert low_end == upper[:1]
    high_end = [text for text in lower if not is_validation(text, working_fraction(lower, 0.9))]
    assert high_end == lower[-1:]


@pytest.mark.parametrize("copies", [1, 3])
def test_one_document_cannot_be_divided(copies):
    with pytest.raises(DataError, match="a different document each") as caught:
        working_fraction(["the same text " * 20] * copies, 0.1)
    assert caught.value.exit_code == 65
    assert len(caught.value.fixes) >= 2


def test_almost_no_text_is_said_to_be_too_little():
    with pytest.raises(DataError, match="only 5 bytes"):
        working_fraction(["hello"], 0.1)


@settings(deadline=None)
@given(st.text())
def test_sizes_are_those_of_utf8(text):
    assert utf8_size(text) == len(text.encode())


def test_every_order_gives_the_same_split():
    few = sorted((text * 9 for text in TEXTS), key=split_position)[-3:]
    assert len({working_fraction(order, 0.1) for order in itertools.permutations(few)}) == 1
