"""The element-wise operations of a block: RMSNorm, rotary positions, SwiGLU, dropout.

torch.compile fuses them, and CUDA has a kernel for the norm. Eager CPU runs each as several passes
over memory and keeps what the passes leave behind for the backward pass; there the functions
below, with their gradients written out, take half the passes and keep only their inputs. That is
a tenth of a training step on one core, a third on two busy ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from create_llm_gpt.functions import Function, applied, saved


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x²) + eps) · weight over the last dimension, in the dtype of x."""
    if _eager_cpu(x):
        return applied(_RMSNorm, x, weight, eps)
    return F.rms_norm(x, weight.shape, weight.to(x.dtype), eps)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """(x − mean) / sqrt(variance + eps) · weight + bias over the last dimension.

    On a CPU in the dtype of x, with the sums in fp32. Autocast would copy x to fp32 and the result
    back, in both directions: 1 % of a step.
    """
    if x.device.type != "cpu":
        return F.layer_norm(x, weight.shape, weight, bias, eps)
    with torch.autocast("cpu", enabled=False):
        return F.layer_norm(x, weight.shape, weight, bias, eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn pair i (elements i and i + head_dim / 2) of every head by its position's angle.

    Args:
        x: [batch, length, heads, head_dim].
        cos: [length, 1, head_dim / 2] or [batch, length, 1, head_dim / 2], as sin; they get no
            gradient.
    """
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    if _eager_cpu(x):
        return applied(_Rotate, x, cos, sin)
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) · up, of [..., 2 · width] that holds gate, then up."""
    if _eager_cpu(gate_up):
        return applied(_SwiGLU, gate_up)
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


def gelu(x: Tensor) -> Tensor:
    """x · Φ(x), Φ by its tanh approximation, as GPT-2 has it.

    In bf16 on a CPU by the error function that it approximates, where torch takes a third of the
    time: they differ by 0.0005 at most, and bf16 rounds what is above 0.13 by as much or more.
    """
    exact = x.device.type == "cpu" and x.dtype == torch.bfloat16
    return F.gelu(x, approximate="none" if exact else "tanh")


def dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """Zero a random share of x while training, and make up for it in the rest.

    On a CPU in 256ths, of which each takes one random byte: a draw for each element would be a
    tenth of a small model's step.
    """
    if not training or not share:
        return x
    if _eager_cpu(x):
        return applied(_Dropout, x, min(max(round(256 * share), 1), 255))
    return F.dropout(x, share)


def _eager_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


class _RMSNorm(Function):
    """The mean square is taken in fp32 at least; all else stays in the dtype of x."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide)
        scale = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_().to(x.dtype)
        ctx.save_for_backward(x, weight, scale)
        out: Tensor = x * scale
        return out.mul_(weight.to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        """With s the scale: dx = s·w·g − x·s³·mean(x·w·g), dw = Σ s·x·g over tokens."""
        x, weight, scale = saved(ctx)
        width = x.shape[-1]
        grad_x = (grad * x).reshape(-1, width)
        grad_weight = grad_x.t() @ scale.reshape(-1, 1)
        like = weight.to(x.dtype)
        # Three times, since s³ alone would exceed what fp16 holds.
        dot = (grad_x @ like[:, None]).view_as(scale).mul_(scale).mul_(scale).mul_(scale)
        out = (grad * like).mul_(scale).addcmul_(x, dot, value=-1.0 / width)
        return out, grad_weight.view_as(weight).to(weight.dtype), None


class _Rotate(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin, 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = saved(ctx)
        return _turned(grad, cos, sin, -1.0), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, direction: float) -> Tensor:
    out = torch.empty(x.shape, dtype=x.dtype)
    left, right = x.chunk(2, dim=-1)
    new_left, new_right = out.chunk(2, dim=-1)
    torch.mul(left, cos, out=new_left).addcmul_(right, sin, value=-direction)
    torch.mul(right, cos, out=new_right).addcmul_(left, sin, value=direction)
    return out


class _SwiGLU(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> Tensor:
        (gate_up,) = saved(ctx)
        gate, up = gate_up.chunk(2, dim=-1)
        out = torch.empty(gate_up.shape, dtype=gate_up.dtype)
        grad_gate, grad_up = out.chunk(2, dim=-1)
        torch.mul(F.silu(gate), grad, out=grad_up)
        torch.ops.aten.silu_backward.grad_input(grad * up, gate, grad_input=grad_gate)
        return out


class _Dropout(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, dropped: int) -> Tensor:
        """`dropped` of 256."""
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        drawn = words.view(torch.uint8)[: x.numel()].view(x.shape)
        # 0 or 1, as `drawn >= dropped` says in ten times the time.
        kept = drawn.clamp_(dropped - 1, dropped).sub_(dropped - 1)
        ctx.save_for_backward(kept)
        ctx.factor = 256 / (256 - dropped)  # type: ignore[attr-defined]
        return _Dropout._of(x, kept, ctx)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        (kept,) = saved(ctx)
        return _Dropout._of(grad, kept, ctx), None

    @staticmethod
    def _of(x: Tensor, kept: Tensor, ctx: FunctionCtx) -> Tensor:
        out: Tensor = x * kept.to(x.dtype)  # a product of two dtypes takes five times as long
        return out.mul_(ctx.factor)  # type: ignore[attr-defined]
