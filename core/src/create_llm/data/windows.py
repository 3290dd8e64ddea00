"""Windows of a token stream: the samples of objectives."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from create_llm.data.samples import Sample
from create_llm.data.shards import TokenShards


class Windows:
    """Samples of up to `size` tokens, one every `stride` tokens.

    With the default stride, `size - shared`, neighbours have `shared` tokens in common. Next-token
    objectives share one, the last of one window and the first of the next, so that each token of
    the stream but its first is predicted exactly once. A smaller stride repeats tokens and is for
    training only. The last window may be shorter, but has a token that is not shared.

    Isolated, samples say which document each token belongs to; the EOS before a document is its
    first token.
    """

    def __init__(
        self,
        shards: TokenShards,
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
        self.shards = shards
        self.size = size
        self.shared = shared
        self.stride = stride
        self.isolated = isolated

    def __len__(self) -> int:
        own = self.shards.tokens - self.shared
        if own < 1:
            return 0
        return 1 + max(0, -(-(own - (self.size - self.shared)) // self.stride))

    def __getitem__(self, i: int) -> Sample:
        if not 0 <= i < len(self):
            raise IndexError(f"window {i} of {len(self)}")
        start = i * self.stride
        stop = min(start + self.size, self.shards.tokens)
        segments = self._segments(start, stop) if self.isolated else None
        return Sample(
            self.shards.read(start, stop), self.shards.read_counted(start, stop), segments
        )

    def _segments(self, start: int, stop: int) -> NDArray[np.int32]:
        """Numbers that rise by one where a document begins: int32 [stop - start].

        Found by halving the list of documents, which stays on disk: some twenty reads.
        """
        numbers = range(self.shards.documents)
        first = bisect_right(numbers, start, key=self._begin)
        last = bisect_left(numbers, stop, lo=first, key=self._begin)
        begins = np.zeros(stop - start, np.int32)
        begins[self.shards.document_starts(first, last) - 1 - start] = 1
        return begins.cumsum(dtype=np.int32)

    def _begin(self, document: int) -> int:
        """Where the EOS before a document stands."""
        return int(self.shards.document_starts(document, document + 1)[0]) - 1


class SlidingWindows(Windows):
    """Windows that overlap, in which a token counts only where it is seen first.

    To score with: each token then has at least `size - stride` tokens before it, but those near
    the text's beginning.
    """

    def __getitem__(self, i: int) -> Sample:
        sample = super().__getitem__(i)
        if i == 0:
            return sample
        fresh = np.arange(len(sample.tokens)) >= self.size - self.stride
        counted = fresh if sample.counted is None else fresh & sample.counted
        return replace(sample, counted=counted)
