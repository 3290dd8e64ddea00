"""Windows of a token stream: the samples of next-token objectives."""

from __future__ import annotations

from create_llm.data.samples import Sample
from create_llm.data.shards import TokenShards


class Windows:
    """Samples of up to length + 1 tokens, one every `stride` tokens.

    With the default stride, `length`, neighbours share one token: the last of one window is the
    first of the next, so that each token of the stream but its first is predicted exactly once.
    A smaller stride repeats tokens and is for training only. The last window may be shorter, but
    has at least two tokens: one to read and one to predict.
    """

    def __init__(self, shards: TokenShards, length: int, stride: int | None = None) -> None:
        stride = length if stride is None else stride
        if not 1 <= stride <= length:
            raise ValueError(f"stride must be from 1 to length {length}, got {stride}")
        self.shards = shards
        self.length = length
        self.stride = stride

    def __len__(self) -> int:
        predicted = self.shards.tokens - 1
        if predicted < 1:
            return 0
        return 1 + max(0, -(-(predicted - self.length) // self.stride))

    def __getitem__(self, i: int) -> Sample:
        if not 0 <= i < len(self):
            raise IndexError(f"window {i} of {len(self)}")
        start = i * self.stride
        stop = min(start + self.length + 1, self.shards.tokens)
        return Sample(self.shards.read(start, stop), self.shards.read_counted(start, stop))
