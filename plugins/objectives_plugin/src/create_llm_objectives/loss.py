"""Cross-entropy over logits that never exist all at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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
    hidden, labels, matrix = output.hidden.flatten(0, 1), labels.flatten(), output.head_weight
    if matrix is not None and not torch.is_grad_enabled():
        return _without_autocast(_scored, hidden, matrix, labels)
    if matrix is not None and hidden.requires_grad:
        return _without_autocast(_LinearCrossEntropy.apply, hidden, matrix, labels)
    total = torch.zeros((), device=hidden.device)
    for part, target in zip(torch.split(hidden, CHUNK), torch.split(labels, CHUNK), strict=True):
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


def _without_autocast(
    function: Callable[..., Tensor], hidden: Tensor, weight: Tensor, labels: Tensor
) -> Tensor:
    """Autocast would compute the softmax in fp32, and cast it for both products."""
    hidden = hidden.to(compute_dtype(hidden))
    with torch.autocast(hidden.device.type, enabled=False):
        return function(hidden, weight, labels)


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
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        total = torch.zeros((), device=hidden.device)
        matrix = weight.to(hidden.dtype)
        for part, logits in _chunks(hidden, matrix):
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


def _chunks(hidden: Tensor, matrix: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Positions that are computed at one time, and the space for their logits [n, vocabulary].

    It is one for all, and changed in place: two would not fit into the caches.
    """
    rows = positions_at_once(hidden.device, len(matrix))
    space = hidden.new_empty(min(rows, len(hidden)), len(matrix))
    for start in range(0, len(hidden), rows):
        part = slice(start, min(start + rows, len(hidden)))
        yield part, space[: part.stop - part.start]


def _scored(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """The loss alone."""
    total, matrix = torch.zeros((), device=hidden.device), weight.to(hidden.dtype)
    for part, space in _chunks(hidden, matrix):
        logits = torch.mm(hidden[part], matrix.t(), out=space)
        chosen = logits[_places(labels[part])].float()
        log_sums = _log_sums(logits)
        if log_sums is None:
            log_sums = torch.mm(hidden[part], matrix.t(), out=space).float().logsumexp(dim=-1)
        total += ((log_sums - chosen) * (labels[part] != IGNORED)).sum()
    return total


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
    logits = torch.mm(hidden, matrix.t(), out=space)
    found = _by_exponentials(logits, labels) if logits.device.type == "cpu" else None
    if found is None and logits.device.type == "cpu":
        logits = torch.mm(hidden, matrix.t(), out=space)
    return found or _by_softmax(logits, labels)


def _by_softmax(logits: Tensor, labels: Tensor) -> _Differentiated:
    places, counted = _places(labels), labels != IGNORED
    chosen, largest = logits[places].float(), logits.amax(dim=-1).float()
    grad = torch.softmax(logits, dim=-1)
    # The largest logit less the logarithm of its own probability, which is never zero.
    losses = largest - grad.amax(dim=-1).float().log() - chosen
    grad[places] -= 1  # not scatter_add_, which copies the whole tensor on a CPU
    return _Differentiated((losses * counted).sum(), grad, counted[:, None].to(grad.dtype))


def _by_exponentials(logits: Tensor, labels: Tensor) -> _Differentiated | None:
    """The same in half the time, in place: the sums divide the narrow tensors of the products
    instead. None where `_log_sums` is."""
    places, counted = _places(labels), labels != IGNORED
    chosen, log_sums = logits[places].float(), _log_sums(logits)
    if log_sums is None:
        return None
    sums = log_sums.exp()
    logits[places] = (logits[places].float() - sums).to(logits.dtype)
    scale = (counted / sums)[:, None].to(logits.dtype)
    return _Differentiated(((log_sums - chosen) * counted).sum(), logits, scale)


def _places(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Where the labels are in logits [n, vocabulary]; those that do not count are at 0."""
    return torch.arange(len(labels), device=labels.device), labels.clamp(min=0)


def _log_sums(logits: Tensor) -> Tensor | None:
    """log Σ exp of each row, in fp32, and in the place of the logits their exponentials.

    Hardly a logit exceeds 88, so that there is no need to look for the largest first.

    None: a sum left the range of numbers, and the logits are gone.
    """
    sums = _row_sums(logits.exp_())
    inside = bool(((sums > _LEAST_SUM) & (sums < math.inf)).all())
    return sums.log() if inside else None


def _row_sums(values: Tensor) -> Tensor:
    """In fp32. A sum is rounded as its terms are, and one of bf16 terms in fp32 takes ten times as
    long: so many short ones first."""
    count = values.shape[-1] // _SUMMED
    whole = count * _SUMMED
    short = values[:, :whole].view(len(values), count, _SUMMED).sum(dim=-1)
    rest = values[:, whole:].sum(-1, dtype=torch.float32)
    return short.sum(-1, dtype=torch.float32).add_(rest)
