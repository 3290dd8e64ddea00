"""The order of samples: a keyed permutation of each epoch."""

import itertools
from collections import Counter

import pytest

from create_llm.data.order import SampleOrder


def epoch(size, seed=0, number=0):
    order = SampleOrder(size, seed, shuffle=True)
    return [order.index(number * size + place) for place in range(size)]


def test_every_epoch_is_a_permutation():
    for size in range(1, 301):
        assert sorted(epoch(size, seed=size, number=size % 3)) == list(range(size)), size


@pytest.mark.parametrize("size", [4096, 4097, 20_011])
def test_large_epochs_are_permutations_too(size):
    assert len(set(epoch(size))) == size


def test_the_largest_sizes_are_reached_without_a_list():
    order = SampleOrder(10**15, 0, shuffle=True)
    seen = {order.index(n) for n in range(1000)}
    assert len(seen) == 1000
    assert max(seen) > 10**14


def test_epochs_and_seeds_differ():
    orders = {tuple(epoch(50, seed, number)) for seed in range(4) for number in range(4)}
    assert len(orders) == 16


def test_values_are_pinned():
    # A resumed run reads on where an earlier version of the program stopped.
    assert epoch(10, seed=1) == [4, 6, 2, 7, 3, 5, 8, 1, 0, 9]
    assert epoch(10, seed=1, number=1) == [9, 4, 8, 6, 0, 3, 5, 1, 7, 2]
    assert SampleOrder(1_000_003, 42, shuffle=True).index(123_456_789) == 579_577


def test_without_shuffling_samples_come_as_they_are():
    order = SampleOrder(5, 0, shuffle=False)
    assert [order.index(n) for n in range(12)] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


def test_every_place_sees_every_sample_about_equally_often():
    """Chi-square of the sample at place 5, over 3200 epochs of 16: 15 degrees of freedom."""
    counts = Counter(epoch(16, number=number)[5] for number in range(3200))
    statistic = sum((counts[sample] - 200) ** 2 / 200 for sample in range(16))
    assert statistic < 44  # p = 1e-4; the identity reaches 48000


def test_neighbours_are_torn_apart():
    order = epoch(5000)
    followed = sum(b == a + 1 for a, b in itertools.pairwise(order))
    assert followed < 10  # one is expected; the identity has 4999


def test_even_four_samples_come_in_every_order():
    assert len({tuple(epoch(4, number=number)) for number in range(400)}) == 24


def test_an_order_over_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one sample"):
        SampleOrder(0, 0, shuffle=True)
    with pytest.raises(ValueError, match="start at 0"):
        SampleOrder(3, 0, shuffle=True).index(-1)
