"""Cross-entropy over logits that never exist all at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import IGNORED, Batch
from create_llm.models.precision import compute_dtype

CHUNK = 2048
"""Positions whose logits exist at one time: 2,048 × a vocabulary of 32,000 in bf16 is 131 MB."""
_CACHED = 1 << 23
"""Logits that a CPU's caches hold: what is made of them passes over them five times."""
_FEWEST = 256
"""Positions of which a product still runs at full speed."""
_SUMMED = 128
_LEAST_SUM = 1e-30
"""Exponentials that add up to less have lost digits, or are all zero."""


def summed_cross_entropy(output: ModelOutput, labels: Tensor) -> Tensor:
    """The sum in nats over labels [batch, length] that count, in fp32 whatever the model computes
    in.

    Logits are computed `CHUNK` positions at a time. A head that is a plain matrix gets its
    gradient on the same way, while they are there; any other is computed again in the backward
    pass: one more product with the head against a tensor that would often be the largest of the
    step.
    """
    hidden, labels = output.hidden.flatten(0, 1), labels.flatten()
    if output.head_weight is not None and hidden.requires_grad and torch.is_grad_enabled():
        return _fused(hidden, output.head_weight, labels)
    total, size = torch.zeros((), device=hidden.device), CHUNK
    if output.head_weight is not None:  # scoring, which is to need no more memory than training
        size = positions_at_once(hidden.device, len(output.head_weight))
    for part, target in zip(torch.split(hidden, size), torch.split(labels, size), strict=True):
        if hidden.requires_grad and len(labels) > CHUNK:
            total = total + checkpoint(_summed, output.head, part, target, use_reentrant=False)
        else:
            total = total + _summed(output.head, part, target)
    return total


def summed_at_counted(output: ModelOutput, batch: Batch) -> Tensor:
    """The same, projecting only the places that count: where most do not, most of the head's work
    is saved. Their number is known, so that finding them does not make the host wait."""
    labels = batch.labels.flatten()
    places = (labels == IGNORED).to(torch.uint8).argsort(stable=True)[: batch.count]
    few = replace(output, hidden=output.hidden.flatten(0, 1)[places][None])
    return summed_cross_entropy(few, labels[places][None])


def _summed(head: Callable[[Tensor], Tensor], hidden: Tensor, labels: Tensor) -> Tensor:
    logits = head(hidden).float()
    return F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")


def _fused(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    hidden = hidden.to(compute_dtype(hidden))
    # Autocast would compute the softmax in fp32, and cast it for both products.
    with torch.autocast(hidden.device.type, enabled=False):
        return cast(Tensor, _LinearCrossEntropy.apply(hidden, weight, labels))  # type: ignore[no-untyped-call]


def positions_at_once(device: torch.device, vocabulary: int) -> int:
    """How many positions' logits exist at one time where gradients are made on the way."""
    if device.type != "cpu":
        return CHUNK
    return min(max(_CACHED // vocabulary, _FEWEST), CHUNK)


class _LinearCrossEntropy(Function):
    """Σ −log softmax(hidden · weightᵀ)[label], with both gradients made in the forward pass.

    The gradient of the logits is softmax − one-hot: with it at hand, both products follow while a
    chunk's logits are in the cache, and nothing of the size of the vocabulary is kept.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        """hidden [n, width] in the dtype to compute in, weight [vocabulary, width] fp32."""
        matrix = weight.to(hidden.dtype)
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        total = torch.zeros((), device=hidden.device)
        rows = positions_at_once(hidden.device, len(weight))
        # One for all chunks, and changed in place: two of them would not fit into the caches.
        logits = hidden.new_empty(min(rows, len(labels)), len(weight))
        for start in range(0, len(labels), rows):
            part = slice(start, start + rows)
            loss, grad, scale = _differentiated(hidden[part], matrix, labels[part], logits)
            total += loss
            torch.mm(grad, matrix, out=grad_hidden[part])
            grad_hidden[part] *= scale
            grad_weight += grad.t() @ (hidden[part] * scale)
        ctx.save_for_backward(grad_hidden, grad_weight)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_hidden, grad_weight = cast("tuple[Tensor, Tensor]", ctx.saved_tensors)  # type: ignore[attr-defined]
        return grad_hidden * grad, grad_weight * grad, None


class _Differentiated(NamedTuple):
    """A chunk's summed loss (fp32 scalar), and its gradient by the logits: `grad` [n, vocabulary]
    times `scale` [n, 1], which is 0 where a label does not count."""

    loss: Tensor
    grad: Tensor
    scale: Tensor


def _differentiated(
    hidden: Tensor, matrix: Tensor, labels: Tensor, space: Tensor
) -> _Differentiated:
    """`space` receives the logits, and then what `grad` is."""
    counted = labels != IGNORED
    places = (torch.arange(len(labels), device=labels.device), labels.clamp(min=0))
    out = space[: len(labels)]
    logits = torch.mm(hidden, matrix.t(), out=out)
    if logits.device.type != "cpu":
        return _by_softmax(logits, places, counted)
    found = _by_exponentials(logits, places, counted)
    if found is None:
        found = _by_softmax(torch.mm(hidden, matrix.t(), out=out), places, counted)
    return found


def _by_softmax(logits: Tensor, places: tuple[Tensor, Tensor], counted: Tensor) -> _Differentiated:
    chosen, largest = logits[places].float(), logits.amax(dim=-1).float()
    grad = torch.softmax(logits, dim=-1)
    # The largest logit less the logarithm of its own probability, which is never zero.
    losses = largest - grad.amax(dim=-1).float().log() - chosen
    grad[places] -= 1  # not scatter_add_, which copies the whole tensor on a CPU
    return _Differentiated((losses * counted).sum(), grad, counted[:, None].to(grad.dtype))


def _by_exponentials(
    logits: Tensor, places: tuple[Tensor, Tensor], counted: Tensor
) -> _Differentiated | None:
    """The same in half the time, in place: hardly a logit exceeds 88, so that there is no need to
    look for the largest, and the sums divide the narrow tensors of the products instead.

    None: a sum left the range of numbers, and the logits are gone.
    """
    chosen = logits[places].float()
    exponentials = logits.exp_()
    sums = _row_sums(exponentials)
    if not bool(((sums > _LEAST_SUM) & (sums < math.inf)).all()):
        return None
    exponentials[places] = (exponentials[places].float() - sums).to(logits.dtype)
    losses = sums.log() - chosen
    scale = (counted / sums)[:, None].to(logits.dtype)
    return _Differentiated((losses * counted).sum(), exponentials, scale)


def _row_sums(values: Tensor) -> Tensor:
    """In fp32. A sum is rounded as its terms are, and one of bf16 terms in fp32 takes ten times as
    long: so many short ones first."""
    count = values.shape[-1] // _SUMMED
    whole = count * _SUMMED
    short = values[:, :whole].view(len(values), count, _SUMMED).sum(dim=-1)
    rest = values[:, whole:].sum(-1, dtype=torch.float32)
    return short.sum(-1, dtype=torch.float32).add_(rest)
