"""The order of samples of several sources that are mixed by weight."""

import itertools
from collections import Counter
from fractions import Fraction

import pytest

from create_llm.data.mixed_order import MixedOrder, apportioned
from create_llm.data.order import SampleOrder

SIZES, WEIGHTS = (40, 7, 153), (3.0, 1.0, 0.5)


def source_of(sample):
    return 0 if sample < 40 else 1 if sample < 47 else 2


def epochs(order, count, first=0):
    return [order.index(n) for n in range(first * order.size, (first + count) * order.size)]


def test_an_epoch_is_shared_as_the_weights_say():
    order = MixedOrder(SIZES, WEIGHTS, seed=1, shuffle=True)
    assert order.size == 200
    assert order.shares == (133, 45, 22)  # 133.3, 44.4 and 22.2
    for epoch in range(4):
        drawn = Counter(map(source_of, epochs(order, 1, epoch)))
        assert (drawn[0], drawn[1], drawn[2]) == order.shares
    assert order.passes == (133 / 40, 45 / 7, 22 / 153)


@pytest.mark.parametrize("shuffle", [True, False])
def test_each_sample_of_a_source_is_drawn_equally_often(shuffle):
    order = MixedOrder(SIZES, WEIGHTS, seed=5, shuffle=shuffle)
    for count in (1, 2, 7):
        drawn = Counter(epochs(order, count))
        for samples in (range(40), range(40, 47), range(47, 200)):
            often = [drawn[sample] for sample in samples]
            assert max(often) - min(often) <= 1


def test_any_position_can_be_asked_for_first():
    order = MixedOrder(SIZES, WEIGHTS, seed=3, shuffle=True)
    run = epochs(order, 3)
    assert run != sorted(run)
    again = MixedOrder(SIZES, WEIGHTS, seed=3, shuffle=True)
    assert [again.index(n) for n in (599, 0, 201, 200, 433)] == [
        run[n] for n in (599, 0, 201, 200, 433)
    ]
    assert 0 <= MixedOrder((10**15, 3), (1, 1), 0, True).index(10**17) < 10**15 + 3


def test_seeds_epochs_and_sources_have_orders_of_their_own():
    orders = {tuple(epochs(MixedOrder((30, 30), (1, 1), seed, True), 1)) for seed in range(4)}
    assert len(orders) == 4
    run = epochs(MixedOrder((30, 30), (1, 1), 0, True), 2)
    assert run[:60] != run[60:]
    first, second = [n for n in run if n < 30], [n - 30 for n in run if n >= 30]
    assert first != second
    assert sorted(first[:30]) == list(range(30)) == sorted(second[:30])


def test_the_sources_are_interleaved():
    order = MixedOrder((500, 500), (1, 1), 0, True)
    drawn = [sample < 500 for sample in epochs(order, 1)]
    changes = sum(a != b for a, b in itertools.pairwise(drawn))
    assert 400 < changes < 600  # one after the other, there is one change


def test_values_are_pinned():
    # A resumed run reads on where an earlier version of the program stopped.
    order = MixedOrder((5, 3), (1, 2), seed=1, shuffle=True)
    assert epochs(order, 2) == [5, 6, 1, 7, 7, 6, 4, 3, 2, 7, 5, 5, 2, 5, 6, 0]
    assert MixedOrder((1_000_003, 17), (0.3, 2), 42, True).index(123_456_789) == 1_000_006


def test_without_shuffling_the_sources_come_as_they_are():
    order = MixedOrder((4, 2), (1, 1), seed=0, shuffle=False)
    assert epochs(order, 2) == [0, 1, 2, 4, 5, 4, 3, 0, 1, 5, 4, 5]


def test_one_source_is_read_once_an_epoch():
    order = MixedOrder((9,), (0.1,), seed=0, shuffle=True)
    assert order.passes == (1.0,)
    assert sorted(epochs(order, 1)) == list(range(9))
    assert epochs(order, 1) != [SampleOrder(9, 0, True).index(n) for n in range(9)]


@pytest.mark.parametrize(
    ("weights", "total", "parts"),
    [
        ((1, 1), 5, (3, 2)),
        ((1, 1, 1), 3, (1, 1, 1)),
        ((5, 3, 1), 10, (6, 3, 1)),
        ((1e-300, 1), 10, (1, 9)),
        ((1e-300, 1e-300, 1, 1), 10, (1, 1, 4, 4)),
        ((1e300, 1e308), 1000, (1, 999)),
        ((0.1, 0.2, 0.7), 100, (10, 20, 70)),
        ((2,), 7, (7,)),
    ],
)
def test_shares_are_whole_and_none_is_without(weights, total, parts):
    assert apportioned(weights, total) == parts


def test_shares_add_up_and_are_as_near_as_whole_numbers_can_be():
    for seed in range(300):
        weights = [SampleOrder(97, seed, True).index(n) + 1 for n in range(2 + seed % 9)]
        total = 10 + 7 * seed
        parts = apportioned(weights, total)
        assert sum(parts) == total
        assert min(parts) >= 1
        quotas = [Fraction(total * weight, sum(weights)) for weight in weights]
        if min(quotas) >= 1:
            assert all(abs(part - quota) < 1 for part, quota in zip(parts, quotas, strict=True))
