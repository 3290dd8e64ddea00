"""The forward of one token more, on a CPU: what `model` computes, in as few calls as it takes.

There a small model's token costs less arithmetic than the calls of modules around it. The norms of
a head's queries and keys, and their turning, are done in one, and sums are added in the products.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from create_llm_gpt.cache import KeyValueCache
from create_llm_gpt.model import Attention, Block, GatedFeedForward, GPTModel, RMSNorm, rotation_of


class _Layer(NamedTuple):
    """A block's weights; those of products as [in, out].

    Attributes:
        heads_norm: [heads + kv_heads, head_dim], of queries and keys; None where they have none.
    """

    attention_norm: Tensor
    qkv: Tensor
    heads_norm: Tensor | None
    out: Tensor
    ffn_norm: Tensor
    gate_up: Tensor
    down: Tensor


class Plan(NamedTuple):
    """What a token's forward needs of a model, for as many positions as a cache has.

    Attributes:
        cos: [positions, head_dim], of rotary positions.
        sin: as cos, negative in the first half.
    """

    layers: tuple[_Layer, ...]
    norm: Tensor
    head: Tensor
    cos: Tensor
    sin: Tensor


_OWN = (GPTModel, Block, Attention, GatedFeedForward, RMSNorm)
_KNOWN = frozenset((*_OWN, nn.Linear, nn.Embedding, nn.ModuleList, nn.Identity))


def plan_of(model: GPTModel, positions: int) -> Plan | None:
    """The plan of a model, or None where its own forward has to be called: on a GPU, of the gpt2
    form, while it is trained, and where somebody has put other modules in the place of its own."""
    plain = all(type(module) in _KNOWN for module in model.modules())
    if (
        not plain
        or model.training
        or model.positions is not None
        or model.embedding.weight.device.type != "cpu"
    ):
        return None
    blocks = [block for block in model.layers if isinstance(block, Block)]
    cos, sin = rotation_of(model.config, torch.arange(positions))
    return Plan(
        tuple(_layer(block) for block in blocks),
        _weight(model.norm),
        model.head_weight.t(),
        torch.cat((cos, cos), dim=-1)[:, 0].to(model.embedding.weight.dtype),
        torch.cat((-sin, sin), dim=-1)[:, 0].to(model.embedding.weight.dtype),
    )


def _layer(block: Block) -> _Layer:
    attention, ffn = block.attention, block.ffn
    assert isinstance(ffn, GatedFeedForward), "the forms with rotary positions have gates"
    return _Layer(
        _weight(block.attention_norm),
        attention.qkv.weight.t(),
        _heads_norm(attention),
        attention.out.weight.t(),
        _weight(block.ffn_norm),
        ffn.gate_up.weight.t(),
        ffn.down.weight.t(),
    )


def _heads_norm(attention: Attention) -> Tensor | None:
    if isinstance(attention.q_norm, nn.Identity):
        return None
    queries = _weight(attention.q_norm).expand(attention.heads, -1)
    return torch.cat((queries, _weight(attention.k_norm).expand(attention.kv_heads, -1)))


def _weight(module: nn.Module) -> Tensor:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight


def decode_one(model: GPTModel, plan: Plan, tokens: Tensor, cache: KeyValueCache) -> Tensor:
    """Logits [batch, vocabulary] that follow `tokens` int64 [batch], which join the cache.

    Raises:
        ValueError: the cache is full.
    """
    model.check_room(cache.length + 1, cache)
    config, visible = model.config, cache.visible(1)
    eps, width, place = config.norm_eps, config.head_width, cache.length
    places = cache.positions(1).view(-1)
    cos, sin = plan.cos[places].unsqueeze(1), plan.sin[places].unsqueeze(1)
    grouped = config.heads != config.key_value_heads
    x = F.embedding(tokens, model.embedding.weight)
    for index, layer in enumerate(plan.layers):
        qkv = _normed(x, layer.attention_norm, eps) @ layer.qkv
        qkv = qkv.view(len(tokens), -1, width)
        turning = qkv[:, : -config.key_value_heads]
        if layer.heads_norm is not None:
            turning = torch.rms_norm(turning, (width,), eps=eps) * layer.heads_norm
        # Rolled by half a head, what turns together stands at the same place.
        turned = torch.addcmul(turning * cos, turning.roll(width // 2, -1), sin)
        keys, values = cache.keys[index], cache.values[index]
        keys[:, :, place] = turned[:, config.heads :]
        values[:, :, place] = qkv[:, -config.key_value_heads :]
        attended = F.scaled_dot_product_attention(
            turned[:, : config.heads].unsqueeze(2),
            keys[:, :, : place + 1],
            values[:, :, : place + 1],
            attn_mask=visible,
            enable_gqa=grouped,
        )
        x = torch.addmm(x, attended.reshape(len(tokens), -1), layer.out)
        gate, up = (_normed(x, layer.ffn_norm, eps) @ layer.gate_up).chunk(2, dim=-1)
        x = torch.addmm(x, F.silu(gate).mul_(up), layer.down)
    cache.length += 1
    return _normed(x, plan.norm, eps) @ plan.head


def _normed(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return torch.rms_norm(x, weight.shape, weight, eps)
