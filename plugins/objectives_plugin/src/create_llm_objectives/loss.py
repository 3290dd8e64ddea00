"""Cross-entropy over logits that never exist all at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import IGNORED, Batch

CHUNK = 2048
"""Positions whose logits exist at one time: 2,048 × a vocabulary of 32,000 in fp32 is 262 MB."""


def summed_cross_entropy(output: ModelOutput, labels: Tensor) -> Tensor:
    """The sum in nats over labels [batch, length] that count, in fp32 whatever the model computes
    in.

    Logits of more than `CHUNK` positions are computed a chunk at a time, and again in the
    backward pass: one more product with the head against a tensor that would often be the largest
    of the step.
    """
    hidden, labels = output.hidden.flatten(0, 1), labels.flatten()
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
    few = ModelOutput(output.hidden.flatten(0, 1)[places][None], output.head)
    return summed_cross_entropy(few, labels[places][None])


def _summed(head: Callable[[Tensor], Tensor], hidden: Tensor, labels: Tensor) -> Tensor:
    logits = head(hidden).float()
    return F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
