"""The forward of one token more, on a CPU: what `model` computes, in numpy.

There a small model's token costs less arithmetic than the calls around it, and a call of numpy's
takes a third of one of torch's; its product of a row and a matrix is also the faster one. Weights
and cache stay torch's: both look at the same memory.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from create_llm_gpt.cache import KeyValueCache
from create_llm_gpt.config import GPTConfig
from create_llm_gpt.model import Attention, Block, GatedFeedForward, GPTModel, RMSNorm, rotation_of

Array: TypeAlias = NDArray[np.float32]


class _Layer(NamedTuple):
    """A block's weights; those of products as [in, out].

    Attributes:
        heads_norm: [heads + kv_heads, head_dim], of queries and keys; None where they have none.
    """

    attention_norm: Array
    qkv: Array
    heads_norm: Array | None
    out: Array
    ffn_norm: Array
    gate_up: Array
    down: Array


class Plan(NamedTuple):
    """What a token's forward needs of a model, for as many positions as a cache has.

    Attributes:
        embedding: [vocabulary, dim].
        head: [dim, vocabulary].
        cos, sin: [positions, head_dim / 2], of rotary positions.
    """

    config: GPTConfig
    embedding: Array
    layers: tuple[_Layer, ...]
    norm: Array
    head: Array
    cos: Array
    sin: Array


_OWN = (GPTModel, Block, Attention, GatedFeedForward, RMSNorm)
_KNOWN = frozenset((*_OWN, nn.Linear, nn.Embedding, nn.ModuleList, nn.Identity))


def plan_of(model: GPTModel, positions: int) -> Plan | None:
    """The plan of a model, or None where its own forward has to be called: on a GPU, of the gpt2
    form, in another precision than fp32, while it is trained, and where somebody has put other
    modules in the place of its own."""
    weight = model.embedding.weight
    plain = all(type(module) in _KNOWN for module in model.modules())
    if not plain or model.training or model.positions is not None:
        return None
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return None
    blocks = [block for block in model.layers if isinstance(block, Block)]
    cos, sin = rotation_of(model.config, torch.arange(positions))
    return Plan(
        model.config,
        _array(weight),
        tuple(_layer(block) for block in blocks),
        _weight(model.norm),
        _array(model.head_weight).T,
        _array(cos[:, 0]),
        _array(sin[:, 0]),
    )


def _layer(block: Block) -> _Layer:
    attention, ffn = block.attention, block.ffn
    assert isinstance(ffn, GatedFeedForward), "the forms with rotary positions have gates"
    return _Layer(
        _weight(block.attention_norm),
        _weight(attention.qkv).T,
        _heads_norm(attention),
        _weight(attention.out).T,
        _weight(block.ffn_norm),
        _weight(ffn.gate_up).T,
        _weight(ffn.down).T,
    )


def _heads_norm(attention: Attention) -> Array | None:
    if isinstance(attention.q_norm, nn.Identity):
        return None
    queries = np.tile(_weight(attention.q_norm), (attention.heads, 1))
    return np.concatenate((queries, np.tile(_weight(attention.k_norm), (attention.kv_heads, 1))))


def _weight(module: nn.Module) -> Array:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return _array(weight)


def _array(tensor: Tensor) -> Array:
    """The same memory."""
    array: Array = tensor.detach().numpy()
    return array


@np.errstate(all="ignore")  # as torch does: what is not finite shows in the logits
def decode_one(plan: Plan, tokens: Tensor, cache: KeyValueCache) -> Tensor:
    """Logits [batch, vocabulary] that follow `tokens` int64 [batch], which join the cache, where
    there is room."""
    eps, place = plan.config.norm_eps, cache.length
    places = cache.positions(1).view(-1).numpy()
    cos, sin = plan.cos[places][:, None], plan.sin[places][:, None]
    visible = cache.visible(1)
    seen = None if visible is None else visible.numpy()
    keys, values = cache.keys.numpy(), cache.values.numpy()
    x = plan.embedding[tokens.numpy()]
    for index, layer in enumerate(plan.layers):
        qkv = _normed(x, layer.attention_norm, eps) @ layer.qkv
        queries, key, value = _heads(qkv, layer, plan.config, cos, sin)
        keys[index, :, :, place], values[index, :, :, place] = key, value
        kept = keys[index, :, :, : place + 1], values[index, :, :, : place + 1]
        x += _attended(queries, *kept, seen) @ layer.out
        gate_up = _normed(x, layer.ffn_norm, eps) @ layer.gate_up
        x += _gated(gate_up) @ layer.down
    cache.length += 1
    return torch.from_numpy(_normed(x, plan.norm, eps) @ plan.head)


def _heads(
    qkv: Array, layer: _Layer, config: GPTConfig, cos: Array, sin: Array
) -> tuple[Array, Array, Array]:
    """Queries [batch, heads, head_dim], keys and values [batch, kv_heads, head_dim]: the first
    two normed, where the model does that, and turned, in one."""
    by_head = qkv.reshape(len(qkv), -1, config.head_width)
    plain = by_head[:, : -config.key_value_heads]
    if layer.heads_norm is not None:
        plain = _normed(plain, layer.heads_norm, config.norm_eps)
    half = config.head_width // 2
    first, second = plain[..., :half], plain[..., half:]
    turned = np.empty(plain.shape, plain.dtype)
    np.subtract(first * cos, second * sin, out=turned[..., :half])
    np.add(second * cos, first * sin, out=turned[..., half:])
    heads = config.heads
    return turned[:, :heads], turned[:, heads:], by_head[:, -config.key_value_heads :]


def _attended(queries: Array, keys: Array, values: Array, seen: NDArray[np.bool_] | None) -> Array:
    """[batch, heads · head_dim]; keys and values [batch, kv_heads, length, head_dim], `seen` bool
    [batch, 1, 1, length]."""
    batch, kv_heads, _, width = keys.shape
    grouped: Array = queries.reshape(batch, kv_heads, -1, width) * width**-0.5
    scores: Array = grouped @ keys.swapaxes(-1, -2)
    if seen is not None:
        scores = np.where(seen, scores, np.float32(-np.inf))
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    mixed: Array = scores @ values
    return mixed.reshape(batch, -1)


def _gated(gate_up: Array) -> Array:
    """silu(gate) · up, of both side by side."""
    half = gate_up.shape[-1] // 2
    gate, up = gate_up[:, :half], gate_up[:, half:]
    gated: Array = np.exp(-gate)
    gated += 1
    np.divide(gate, gated, out=gated)
    gated *= up
    return gated


def _normed(x: Array, weight: Array, eps: float) -> Array:
    """Root mean square normalisation over the last dimension."""
    squares = np.einsum("...i,...i->...", x, x)[..., None]
    squares /= x.shape[-1]
    squares += np.float32(eps)
    np.sqrt(squares, out=squares)
    normed: Array = x / squares
    normed *= weight
    return normed
