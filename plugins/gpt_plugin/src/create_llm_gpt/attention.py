"""Causal attention of whole sequences, as training runs it.

CUDA has flash attention. torch's fused CPU kernel keeps no matrix of weights, but reaches only a
seventh of the processor's bf16 speed, most of it lost in the backward pass. On a CPU the products
below are large ones, which its matrix library runs at full speed: twice to three times as fast,
for length x length / 2 weights a head that are kept until the backward pass.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from create_llm_gpt.functions import Function, applied, saved

_ROWS = 128
"""Queries at a time: they meet the keys up to their own block's end, not those behind it."""
_MOST_WEIGHTS = 1 << 27
"""Bytes of weights that one layer may keep; beyond, the fused kernel, which keeps none."""


def causal_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    dropout: float,
    segments: Tensor | None = None,
    visible: Tensor | None = None,
) -> Tensor:
    """Attention of the last n positions to all before them, scaled by 1 / sqrt(head_dim).

    Args:
        q: [batch, n, heads, head_dim].
        k: [batch, length >= n, kv_heads, head_dim], as v; heads is a multiple of kv_heads.
        dropout: share of the weights that are dropped.
        segments: [batch, length], which document each position belongs to: those of others are
            not looked at. Only where n = length.
        visible: bool [batch, 1, n, length], where each may look, in place of all of its past.

    Returns:
        [batch, n, heads, head_dim].
    """
    n, total = q.shape[1], k.shape[1]
    if n == total and not dropout and _pays(q):
        return applied(_BlockAttention, q, *_for_each_head(q, k, v), segments)
    grouped = q.shape[2] != k.shape[2]
    if grouped and q.is_cuda and q.dtype == torch.float32:
        # The one fused CUDA kernel for fp32 does not share key heads.
        k, v = _for_each_head(q, k, v)
        grouped = False
    mask = _mask(n, total, segments, q.device) if visible is None else visible
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    attended = F.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=mask,
        dropout_p=dropout,
        is_causal=mask is None and n == total,
        enable_gqa=grouped,
    )
    return attended.transpose(1, 2)


def _mask(n: int, total: int, segments: Tensor | None, device: torch.device) -> Tensor | None:
    """True where a query may look, [n, total] or [batch, 1, n, total]; None: the fused kernels
    know by themselves."""
    if segments is None and (n == 1 or n == total):
        return None
    past = torch.ones(n, total, dtype=torch.bool, device=device).tril(total - n)
    return past if segments is None else past & ~_apart(segments, slice(0, n), total)[:, None]


def _apart(segments: Tensor, rows: slice, stop: int) -> Tensor:
    """[batch, rows, stop], whether two positions belong to two documents."""
    return segments[:, rows, None] != segments[:, None, :stop]


def weights_kept(batch: int, heads: int, length: int) -> int:
    """How many weights a layer keeps for the backward pass on a CPU."""
    blocks = -(-length // _ROWS)
    kept = (
        batch
        * heads
        * sum(min(_ROWS, length - i * _ROWS) * min((i + 1) * _ROWS, length) for i in range(blocks))
    )
    return kept if 2 * kept <= _MOST_WEIGHTS else 0


def _pays(q: Tensor) -> bool:
    """Whether to keep the weights: where a backward pass will need them, on a CPU."""
    batch, length, heads, _ = q.shape
    training = q.requires_grad and torch.is_grad_enabled()
    return training and q.device.type == "cpu" and weights_kept(batch, heads, length) > 0


def _for_each_head(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    groups = q.shape[2] // k.shape[2]
    if groups == 1:
        return k, v
    return k.repeat_interleave(groups, dim=2), v.repeat_interleave(groups, dim=2)


class _BlockAttention(Function):
    """Block by block of queries, so that no product is made with what lies in the future."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor, segments: Tensor | None
    ) -> Tensor:
        length = q.shape[1]
        out, scale = torch.empty_like(q, memory_format=torch.contiguous_format), _scale(q)
        q, k, v = _by_head(q) * scale, _by_head(k), _by_head(v)
        future = torch.full((_ROWS, _ROWS), -math.inf, dtype=q.dtype).triu_(1)
        kept = []
        for start in range(0, length, _ROWS):
            rows, stop = slice(start, start + _ROWS), min(start + _ROWS, length)
            scores = torch.bmm(q[:, rows], k[:, :stop].transpose(1, 2))
            scores[:, :, start:] += future[: stop - start, : stop - start]
            if segments is not None:
                apart = _apart(segments, rows, stop)
                scores.view(len(apart), -1, *apart.shape[1:]).masked_fill_(
                    apart[:, None], -math.inf
                )
            weights = torch.softmax(scores, dim=-1)
            out[:, rows] = _by_position(torch.bmm(weights, v[:, :stop]), out)
            kept.append(weights)
        ctx.save_for_backward(q, k, v, *kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """With weights P: dV = P'·g, dS = P·(g·V' − rows of g·V'·P summed), dQ = dS·K, dK = dS'·Q.

        The products with the last block, which sees all keys, come first: others add to theirs.
        """
        q, k, v, *kept = saved(ctx)
        length, scale = grad.shape[1], _scale(grad)
        grad_q = torch.empty_like(grad, memory_format=torch.contiguous_format)
        grad_k, grad_v = torch.empty_like(k), torch.empty_like(v)
        by_head = _by_head(grad)
        for number, weights in reversed(list(enumerate(kept))):
            rows, stop = slice(number * _ROWS, (number + 1) * _ROWS), number * _ROWS + _ROWS
            g, beta = by_head[:, rows], float(stop < length)
            grad_weights = torch.bmm(g, v[:, :stop].transpose(1, 2))
            grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
            grad_q[:, rows] = _by_position(torch.bmm(grad_scores, k[:, :stop]) * scale, grad_q)
            grad_v[:, :stop].baddbmm_(weights.transpose(1, 2), g, beta=beta)
            grad_k[:, :stop].baddbmm_(grad_scores.transpose(1, 2), q[:, rows], beta=beta)
        return grad_q, _by_position(grad_k, grad_q), _by_position(grad_v, grad_q), None


def _scale(heads: Tensor) -> float:
    return 1.0 / math.sqrt(heads.shape[-1])


def _by_head(x: Tensor) -> Tensor:
    """[batch, length, heads, head_dim] to [batch · heads, length, head_dim]."""
    return x.transpose(1, 2).reshape(-1, x.shape[1], x.shape[3])


def _by_position(x: Tensor, like: Tensor) -> Tensor:
    """The inverse of `_by_head`, for as many heads as `like` has."""
    return x.view(like.shape[0], like.shape[2], -1, like.shape[3]).transpose(1, 2)
