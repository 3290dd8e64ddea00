"""Windows: every token is predicted once, and none is lost at the end."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from create_llm.data.preparation.shard_writer import ShardWriter
from create_llm.data.shards import TokenShards
from create_llm.data.windows import SlidingWindows, Windows


def stream(folder, length, counted=None):
    """Shards of 0, 1, 2 … length, 0: one document between its two EOS."""
    with ShardWriter(folder, 1000, 0, file_tokens=5) as writer:
        writer.add(range(1, length + 1), counted, length)
        writer.close()
    return TokenShards.open(folder)


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    return {length: stream(folder / str(length), length) for length in range(40)}


@settings(deadline=None)
@given(st.integers(0, 39), st.integers(1, 45))
def test_each_token_is_predicted_exactly_once(streams, document, length):
    shards = streams[document]
    windows = Windows(shards, length + 1, shared=1)
    predicted = Counter()
    for i in range(len(windows)):
        tokens = windows[i].tokens
        assert 2 <= len(tokens) <= length + 1
        assert (
            tokens.tolist() == shards.read(0, shards.tokens)[i * length :][: len(tokens)].tolist()
        )
        predicted.update(range(i * length + 1, i * length + len(tokens)))
    assert predicted == Counter(range(1, shards.tokens))


@settings(deadline=None)
@given(st.integers(1, 39), st.integers(1, 20), st.data())
def test_overlapping_windows_cover_everything_and_none_is_superfluous(
    streams, document, length, data
):
    stride = data.draw(st.integers(1, length))
    shards = streams[document]
    windows = Windows(shards, length + 1, shared=1, stride=stride)
    covers = [
        set(range(i * stride + 1, i * stride + len(windows[i].tokens))) for i in range(len(windows))
    ]
    assert set.union(*covers) == set(range(1, shards.tokens))
    assert all(len(windows[i].tokens) == length + 1 for i in range(len(windows) - 1))
    assert len(covers) == 1 or not covers[-1] <= covers[-2]


@settings(deadline=None)
@given(st.integers(0, 39), st.integers(1, 45))
def test_windows_that_share_nothing_hold_each_token_once(streams, document, size):
    shards = streams[document]
    windows = Windows(shards, size)
    parts = [windows[i].tokens for i in range(len(windows))]
    assert np.concatenate(parts).tolist() == shards.read(0, shards.tokens).tolist()
    assert all(len(part) == size for part in parts[:-1])


def test_flags_come_with_their_tokens(tmp_path):
    flags = [True, False, True, True, False]
    windows = Windows(stream(tmp_path / "flags", 5, flags), 4, shared=1)
    got = [(w.tokens.tolist(), w.counted.tolist()) for w in windows]
    assert got == [
        ([0, 1, 2, 3], [True, True, False, True]),
        ([3, 4, 5, 0], [True, True, False, False]),
    ]
    assert windows[0].counted.dtype == np.bool_


def test_without_flags_everything_counts(streams):
    assert Windows(streams[9], 5, shared=1)[0].counted is None


def test_places_outside_are_refused(streams):
    windows = Windows(streams[9], 5, shared=1)
    for place in (-1, len(windows)):
        with pytest.raises(IndexError):
            windows[place]


@pytest.mark.parametrize("stride", [0, 5])
def test_a_stride_that_would_skip_tokens_is_refused(streams, stride):
    with pytest.raises(ValueError, match="stride"):
        Windows(streams[9], 5, shared=1, stride=stride)


@settings(deadline=None)
@given(st.integers(1, 39), st.integers(2, 20), st.data())
def test_sliding_windows_count_each_token_once_and_behind_enough_others(
    streams, document, length, data
):
    stride = data.draw(st.integers(1, length))
    shards = streams[document]
    windows = SlidingWindows(shards, length + 1, shared=1, stride=stride)
    counted = Counter()
    for i in range(len(windows)):
        sample = windows[i]
        flags = np.ones(len(sample.tokens), bool) if sample.counted is None else sample.counted
        places = [place for place in np.flatnonzero(flags).tolist() if place > 0]
        counted.update(i * stride + place for place in places)
        assert i == 0 or min(places) >= length + 1 - stride
    assert counted == Counter(range(1, shards.tokens))


def test_sliding_windows_leave_out_what_never_counts(tmp_path):
    flags = [place % 3 != 0 for place in range(30)]
    shards = stream(tmp_path / "some", 30, flags)
    windows = SlidingWindows(shards, 9, shared=1, stride=3)
    total = sum(int(windows[i].counted[1:].sum()) for i in range(len(windows)))
    assert total == int(shards.read_counted(1, shards.tokens).sum())


@pytest.mark.parametrize("size", [2, 5, 40])
def test_isolated_windows_tell_documents_apart(tmp_path, size):
    with ShardWriter(tmp_path / "three", 1000, 0, file_tokens=5) as writer:
        for length in (3, 1, 9):
            writer.add(range(1, length + 1), None, length)
        writer.close()
    shards = TokenShards.open(tmp_path / "three")
    windows = Windows(shards, size, shared=1, isolated=True)
    for sample in (windows[i] for i in range(len(windows))):
        # The last token is only predicted, and behind the last document none begins.
        begins = sample.tokens[:-1] == 0
        begins[0] = False
        assert sample.segments[:-1].tolist() == begins.cumsum().tolist()
    assert Windows(shards, size, shared=1)[0].segments is None
