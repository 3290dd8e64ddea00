"""Keys and values of the tokens so far, kept so that each token is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from create_llm_gpt.one_token import Plan


@dataclass(slots=True)
class KeyValueCache:
    """Keys and values of every layer: [layers, batch, kv_heads, capacity, head_dim].

    All rows end at the same place, so that what is decoded joins them with one copy. Rows that are
    shorter than others begin later: what stands before them is zero, and not looked at.

    Attributes:
        length: places filled, padding included.
        plan: how one token more is computed; None where the model's own forward does it.
        padding: of each row, how many places stand empty in front of it; empty where none do.
    """

    keys: Tensor
    values: Tensor
    length: int = 0
    padding: tuple[int, ...] = ()
    plan: Plan | None = None

    @property
    def capacity(self) -> int:
        return self.keys.shape[3]

    def positions(self, count: int) -> Tensor:
        """Of the next `count` tokens in their own texts: int64 [count], or [batch, count]."""
        places = torch.arange(self.length, self.length + count, device=self.keys.device)
        return places - self._padding()[:, None] if self.padding else places

    def visible(self, count: int) -> Tensor | None:
        """Bool [batch, 1, count, length + count], where each of the next `count` tokens may look;
        None where no row is padded: attention knows by itself."""
        if not self.padding:
            return None
        end = self.length + count
        places = torch.arange(end, device=self.keys.device)
        past = places <= places[self.length :, None]
        return (past & (places >= self._padding()[:, None, None]))[:, None]

    def layer(self, index: int, visible: Tensor | None) -> LayerCache:
        return LayerCache(self.keys[index], self.values[index], self.length, visible)

    def row_length(self, row: int) -> int:
        return self.length - (self.padding[row] if self.padding else 0)

    def _padding(self) -> Tensor:
        return torch.tensor(self.padding, device=self.keys.device)


@dataclass(frozen=True, slots=True)
class LayerCache:
    """One layer's view of a cache whose first `start` positions are filled."""

    keys: Tensor
    values: Tensor
    start: int
    visible: Tensor | None

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store [batch, n, kv_heads, head_dim]; return all positions up to them."""
        end = self.start + keys.shape[1]
        keys_here, values_here = self.keys.transpose(1, 2), self.values.transpose(1, 2)
        keys_here[:, self.start : end] = keys
        values_here[:, self.start : end] = values
        return keys_here[:, :end], values_here[:, :end]


def gathered(rows: Sequence[tuple[KeyValueCache, int]]) -> KeyValueCache:
    """A cache with copies of these rows, the longest of which begins at its first place."""
    lengths = [cache.row_length(row) for cache, row in rows]
    longest, like = max(lengths), rows[0][0].keys
    capacity = max(cache.capacity for cache, _ in rows)
    shape = (like.shape[0], len(rows), like.shape[2], capacity, like.shape[4])
    made = KeyValueCache(like.new_empty(shape), like.new_empty(shape), longest)
    made.plan = max((cache for cache, _ in rows), key=lambda cache: cache.capacity).plan
    for place, ((cache, row), length) in enumerate(zip(rows, lengths, strict=True)):
        begin = longest - length
        for new, old in ((made.keys, cache.keys), (made.values, cache.values)):
            # Not left as it is: a weight of zero times what is no number is no number.
            new[:, place, :, :begin] = 0
            new[:, place, :, begin:longest] = old[:, row, :, cache.length - length : cache.length]
    if min(lengths) < longest:
        made.padding = tuple(longest - length for length in lengths)
    return made
