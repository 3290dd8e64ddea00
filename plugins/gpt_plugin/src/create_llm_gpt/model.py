"""The module: pre-norm decoder blocks with fused projections, of the parts that the form names.

GPT-2: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners". Llama: Touvron
et al. 2023, 2302.13971. Qwen3: 2505.09388, whose attention normalises queries and keys per head.
LayerNorm: 1607.06450. RMSNorm: 1910.07467. GELU: 1606.08415, by its tanh approximation. SwiGLU:
2002.05202. Rotary positions: 2104.09864, in the convention of Hugging Face's transformers (the
two halves of a head turn together), so that weights need no permutation. Grouped-query attention:
2305.13245.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from create_llm.models.architecture import ModelOutput
from create_llm.models.precision import compute_dtype
from create_llm_gpt.attention import causal_attention
from create_llm_gpt.cache import KeyValueCache, LayerCache
from create_llm_gpt.config import GPTConfig
from create_llm_gpt.ops import dropout, gelu, layer_norm, rms_norm, rotate, swiglu


class Rotation(NamedTuple):
    """By how much rotary positions turn: cosines and sines [length, 1, head_dim / 2], fp32; of
    each row where they differ, [batch, length, 1, head_dim / 2]."""

    cos: Tensor
    sin: Tensor


class RMSNorm(nn.RMSNorm):
    """torch's, with the eager CPU kernel of `ops`."""

    weight: nn.Parameter
    eps: float

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)


class LayerNorm(nn.LayerNorm):
    """torch's, in the dtype of its input on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, self.weight, self.bias, self.eps)


def _norm(config: GPTConfig) -> nn.Module:
    if config.parts.norm == "layer":
        return LayerNorm(config.dim, config.norm_eps)
    return RMSNorm(config.dim, config.norm_eps)


class Attention(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.heads, config.key_value_heads
        self.head_width = config.head_width
        self.dropout = config.attention_dropout
        rows = (self.heads + 2 * self.kv_heads) * self.head_width
        biases, normalised = config.parts.biases, config.parts.head_norm
        self.qkv = nn.Linear(config.dim, rows, bias=biases)
        self.out = nn.Linear(self.heads * self.head_width, config.dim, bias=biases)
        self.q_norm = RMSNorm(self.head_width, config.norm_eps) if normalised else nn.Identity()
        self.k_norm = RMSNorm(self.head_width, config.norm_eps) if normalised else nn.Identity()

    def forward(
        self,
        x: Tensor,
        rotation: Rotation | None,
        past: LayerCache | None,
        segments: Tensor | None,
    ) -> Tensor:
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, -1, self.head_width)
        q, k, v = qkv.split((self.heads, self.kv_heads, self.kv_heads), dim=2)
        q, k = self.q_norm(q), self.k_norm(k)
        if rotation is not None:
            q, k = rotate(q, *rotation), rotate(k, *rotation)
        visible = None
        if past is not None:
            k, v = past.extend(k, v)
            visible = past.visible
        dropped = self.dropout if self.training else 0.0
        attended = causal_attention(q, k, v, dropped, segments, visible)
        joined: Tensor = self.out(attended.reshape(batch, length, -1))
        return joined


class GatedFeedForward(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        biases = config.parts.biases
        self.gate_up = nn.Linear(config.dim, 2 * config.ffn_width, bias=biases)
        self.down = nn.Linear(config.ffn_width, config.dim, bias=biases)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(swiglu(self.gate_up(x)))
        return out


class FeedForward(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        biases = config.parts.biases
        self.up = nn.Linear(config.dim, config.ffn_width, bias=biases)
        self.down = nn.Linear(config.ffn_width, config.dim, bias=biases)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(gelu(self.up(x)))
        return out


class Block(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.attention_norm = _norm(config)
        self.attention = Attention(config)
        self.ffn_norm = _norm(config)
        gated = config.parts.feed_forward == "swiglu"
        self.ffn = GatedFeedForward(config) if gated else FeedForward(config)

    def forward(
        self,
        x: Tensor,
        rotation: Rotation | None,
        past: LayerCache | None = None,
        segments: Tensor | None = None,
    ) -> Tensor:
        """x [batch, length, dim]; no rotation where positions are learned."""
        attended = self.attention(self.attention_norm(x), rotation, past, segments)
        x = x + dropout(attended, self.dropout, self.training)
        return x + dropout(self.ffn(self.ffn_norm(x)), self.dropout, self.training)


class GPTModel(nn.Module):
    """tokens [batch, length] to hidden states, and the head that projects them."""

    def __init__(self, config: GPTConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.dim)
        learned = config.parts.positions == "learned"
        self.positions = nn.Embedding(config.max_length, config.dim) if learned else None
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = _norm(config)
        self.lm_head = None if config.tied else nn.Linear(config.dim, vocab_size, bias=False)

    def forward(
        self,
        tokens: Tensor,
        cache: KeyValueCache | None = None,
        segments: Tensor | None = None,
    ) -> ModelOutput:
        """tokens int64 [batch, length]; with a cache they follow what it holds, and join it.

        Args:
            segments: [batch, length], rising: which document each token belongs to. They are then
                read as if each stood alone. Not beside a cache.

        Raises:
            ValueError: more tokens than `max_length`, or than the cache has room for.
        """
        count = tokens.shape[1]
        end = count if cache is None else cache.length + count
        self.check_room(end, cache)
        if cache is None:
            places, visible = torch.arange(count, device=tokens.device), None
        else:
            places, visible = cache.positions(count), cache.visible(count)
        x = self._embed(tokens, places, segments)
        rotation = None if self.positions is not None else rotation_of(self.config, places)
        for index, block in enumerate(self.layers):
            past = None if cache is None else cache.layer(index, visible)
            x = block(x, rotation, past, segments)
        if cache is not None:
            cache.length = end
        return ModelOutput(self.norm(x), self.project, self.head_weight)

    def _embed(self, tokens: Tensor, places: Tensor, segments: Tensor | None) -> Tensor:
        """[batch, length, dim] in the dtype that the blocks compute in, and pass on."""
        x: Tensor = self.embedding(tokens)
        if self.positions is None:
            return x.to(compute_dtype(x))
        if segments is not None:
            places = _places_within(segments, places)
        x = x + self.positions(places)
        # GPT-2 drops of this sum as well; families without it drop nothing here.
        return dropout(x.to(compute_dtype(x)), self.config.dropout, self.training)

    @property
    def head_weight(self) -> Tensor:
        """[vocabulary, dim]"""
        return self.embedding.weight if self.lm_head is None else self.lm_head.weight

    def project(self, hidden: Tensor) -> Tensor:
        """Hidden states [..., dim] to logits [..., vocabulary]."""
        return F.linear(hidden, self.head_weight)

    def check_room(self, end: int, cache: KeyValueCache | None) -> None:
        if end > self.config.max_length:
            raise ValueError(f"{end} tokens do not fit max_length {self.config.max_length}")
        if cache is not None and end > cache.capacity:
            raise ValueError(
                f"{end} tokens do not fit the cache, which has room for {cache.capacity}"
            )


def _places_within(segments: Tensor, places: Tensor) -> Tensor:
    """[batch, length], counted from each segment's beginning. Rotary positions need no such count:
    they tell distances only."""
    begins = torch.ones_like(segments, dtype=torch.bool)
    begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
    return places - (places * begins).cummax(dim=1).values


def rotation_of(config: GPTConfig, places: Tensor) -> Rotation:
    """Of positions [length] or [batch, length].

    Computed at each forward, once for all layers: well below a thousandth of its time, and
    nothing is left to go stale when the module moves, is built on the meta device or compiled.
    """
    width = config.head_width
    exponents = torch.arange(0, width, 2, dtype=torch.float32, device=places.device) / width
    angles = places.float()[..., None, None] * (1.0 / config.rope_theta**exponents)
    return Rotation(angles.cos(), angles.sin())
