"""The layers: attention to a sequence itself and to another, and feed-forward; no biases.

T5: Raffel et al. 2019, 1910.10683; the gated GELU of v1.1: Shazeer 2020, 2002.05202. RMSNorm:
1910.07467. Attention scores are not scaled: the initial weights are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from create_llm_t5.config import T5Config

KeysValues = tuple[Tensor, Tensor]
"""Both [batch, heads, positions, head_dim]."""


@dataclass(slots=True)
class LayerCache:
    """What one decoder layer keeps.

    Attributes:
        own: of the tokens decoded; the first `length` positions are filled.
        source: of the encoder's states, computed when first asked for.
    """

    own: KeysValues
    source: KeysValues | None = None
    length: int = 0

    def extend(self, keys: Tensor, values: Tensor) -> KeysValues:
        """Store what follows; return all up to there."""
        start, self.length = self.length, self.length + keys.shape[2]
        for kept, new in zip(self.own, (keys, values), strict=True):
            kept[:, :, start : self.length] = new
        return self.own[0][:, :, : self.length], self.own[1][:, :, : self.length]


class Sublayer(nn.Module):
    """Reads the residual stream [batch, length, dim] through a norm, and adds to it.

    Dropout acts on what is added. T5 also drops attention weights and inner states of the
    feed-forward layer, which made a training step on a CPU a fifth to a quarter longer.
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.norm = nn.RMSNorm(config.dim, config.norm_eps)

    def drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class Attention(Sublayer):
    """Of a sequence to itself."""

    def __init__(self, config: T5Config) -> None:
        super().__init__(config)
        self.head_width = config.head_width
        self.qkv = nn.Linear(config.dim, 3 * config.inner_width, bias=False)
        self.out = nn.Linear(config.inner_width, config.dim, bias=False)

    def forward(self, x: Tensor, bias: Tensor, past: LayerCache | None = None) -> Tensor:
        q, k, v = _heads(self.qkv(self.norm(x)), 3, self.head_width)
        if past is not None:
            k, v = past.extend(k, v)
        return x + self.drop(self.out(_attend(q, k, v, bias)))


class CrossAttention(Sublayer):
    """Of the decoder to what the encoder has read."""

    def __init__(self, config: T5Config) -> None:
        super().__init__(config)
        self.head_width = config.head_width
        self.q = nn.Linear(config.dim, config.inner_width, bias=False)
        self.kv = nn.Linear(config.dim, 2 * config.inner_width, bias=False)
        self.out = nn.Linear(config.inner_width, config.dim, bias=False)

    def forward(
        self, x: Tensor, encoded: Tensor, mask: Tensor | None, past: LayerCache | None
    ) -> Tensor:
        (q,) = _heads(self.q(self.norm(x)), 1, self.head_width)
        k, v = self._source(encoded, past)
        return x + self.drop(self.out(_attend(q, k, v, mask)))

    def _source(self, encoded: Tensor, past: LayerCache | None) -> KeysValues:
        if past is not None and past.source is not None:
            return past.source
        k, v = _heads(self.kv(encoded), 2, self.head_width)
        if past is not None:
            past.source = (k, v)
        return k, v


class FeedForward(Sublayer):
    def __init__(self, config: T5Config) -> None:
        super().__init__(config)
        self.gated = config.form == "v1.1"
        self.up = nn.Linear(config.dim, (2 if self.gated else 1) * config.ffn_width, bias=False)
        self.down = nn.Linear(config.ffn_width, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.up(self.norm(x))
        if self.gated:
            gate, linear = inner.chunk(2, dim=-1)
            inner = F.gelu(gate, approximate="tanh") * linear
        else:
            inner = F.relu(inner)
        return x + self.drop(self.down(inner))


class EncoderBlock(nn.Module):
    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.ffn = FeedForward(config)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [batch, length, dim]; bias [1 or batch, heads, length, length]."""
        out: Tensor = self.ffn(self.attention(x, bias))
        return out


class DecoderBlock(nn.Module):
    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.cross = CrossAttention(config)
        self.ffn = FeedForward(config)

    def forward(
        self,
        x: Tensor,
        bias: Tensor,
        encoded: Tensor,
        mask: Tensor | None,
        past: LayerCache | None = None,
    ) -> Tensor:
        """bias [1, heads, length, all positions]; encoded and mask as in `DecoderCache`."""
        x = self.attention(x, bias, past)
        x = self.cross(x, encoded, mask, past)
        out: Tensor = self.ffn(x)
        return out


def _heads(x: Tensor, parts: int, width: int) -> tuple[Tensor, ...]:
    """[batch, length, parts · heads · width] to as many of [batch, heads, length, width]."""
    return tuple(part.view(*x.shape[:2], -1, width).transpose(1, 2) for part in x.chunk(parts, -1))


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """[batch, length, heads · head_dim]; `bias` is added to the scores, or, if bool, hides."""
    heads = F.scaled_dot_product_attention(q, k, v, bias, scale=1.0)
    return heads.transpose(1, 2).flatten(2)
