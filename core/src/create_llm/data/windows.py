"""Windows of a token stream: the samples of objectives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from create_llm.data.samples import Sample
from create_llm.data.shards import TokenShards


class Windows:
    """Samples of up to `size` tokens, one every `stride` tokens.

    With the default stride, `size - shared`, neighbours have `shared` tokens in common. Next-token
    objectives share one, the last of one window and the first of the next, so that each token of
    the stream but its first is predicted exactly once. A smaller stride repeats tokens and is for
    training only. The last window may be shorter, but has a token that is not shared.
    """

    def __init__(
        self, shards: TokenShards, size: int, *, shared: int = 0, stride: int | None = None
    ) -> None:
        own = size - shared
        stride = own if stride is None else stride
        if not 1 <= stride <= own:
            raise ValueError(f"stride must be from 1 to {own}, got {stride}")
        self.shards = shards
        self.size = size
        self.shared = shared
        self.stride = stride

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
        return Sample(self.shards.read(start, stop), self.shards.read_counted(start, stop))


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
