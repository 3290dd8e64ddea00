"""Windows of token streams: the samples of objectives."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from create_llm.data.samples import Sample
from create_llm.data.shards import TokenShards


class Windows:
    """Samples of up to `size` tokens, one every `stride` tokens.

    With the default stride, `size - shared`, neighbours have `shared` tokens in common. Next-token
    objectives share one, the last of one window and the first of the next, so that each token of
    the stream but its first is predicted exactly once. A smaller stride repeats tokens and is for
    training only. The last window may be shorter, but has a token that is not shared. Of several
    streams, those of one follow those of another, and none reaches from one into the next.

    Isolated, samples say which document each token belongs to; the EOS before a document is its
    first token.

    Attributes:
        counts: how many windows each stream has.
    """

    def __init__(
        self,
        streams: TokenShards | Sequence[TokenShards],
        size: int,
        *,
        shared: int = 0,
        stride: int | None = None,
        isolated: bool = False,
    ) -> None:
        own = size - shared
        stride = own if stride is None else stride
        if not 1 <= stride <= own:
            raise ValueError(f"stride must be from 1 to {own}, got {stride}")
        self.streams = (streams,) if isinstance(streams, TokenShards) else tuple(streams)
        self.size = size
        self.shared = shared
        self.stride = stride
        self.isolated = isolated
        self.counts = tuple(map(self._windows_in, self.streams))
        self._firsts = tuple(accumulate(self.counts, initial=0))

    def __len__(self) -> int:
        return self._firsts[-1]

    def __getitem__(self, i: int) -> Sample:
        stream, number = self._place(i)
        start = number * self.stride
        stop = min(start + self.size, stream.tokens)
        segments = _segments(stream, start, stop) if self.isolated else None
        return Sample(stream.read(start, stop), stream.read_counted(start, stop), segments)

    def _windows_in(self, stream: TokenShards) -> int:
        own = stream.tokens - self.shared
        if own < 1:
            return 0
        return 1 + max(0, -(-(own - (self.size - self.shared)) // self.stride))

    def _place(self, i: int) -> tuple[TokenShards, int]:
        """The stream that holds a window, and its number there."""
        if not 0 <= i < len(self):
            raise IndexError(f"window {i} of {len(self)}")
        number = bisect_right(self._firsts, i) - 1
        return self.streams[number], i - self._firsts[number]


class SlidingWindows(Windows):
    """Windows that overlap, in which a token counts only where it is seen first.

    To score with: each token then has at least `size - stride` tokens before it, but those near
    the beginning of a stream.
    """

    def __getitem__(self, i: int) -> Sample:
        sample = super().__getitem__(i)
        if self._place(i)[1] == 0:
            return sample
        fresh = np.arange(len(sample.tokens)) >= self.size - self.stride
        counted = fresh if sample.counted is None else fresh & sample.counted
        return replace(sample, counted=counted)


def _segments(stream: TokenShards, start: int, stop: int) -> NDArray[np.int32]:
    """Numbers that rise by one where a document begins: int32 [stop - start].

    Found by halving the list of documents, which stays on disk: some twenty reads.
    """
    numbers, begin = range(stream.documents), partial(_begin, stream)
    first = bisect_right(numbers, start, key=begin)
    last = bisect_left(numbers, stop, lo=first, key=begin)
    begins = np.zeros(stop - start, np.int32)
    begins[stream.document_starts(first, last) - 1 - start] = 1
    return begins.cumsum(dtype=np.int32)


def _begin(stream: TokenShards, document: int) -> int:
    """Where the EOS before a document stands."""
    return int(stream.document_starts(document, document + 1)[0]) - 1
