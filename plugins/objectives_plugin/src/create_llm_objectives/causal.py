"""Next-token prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from create_llm.data.samples import Sample
from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import IGNORED, Batch, LossOutput

CHUNK = 2048
"""Positions whose logits exist at one time: 2,048 × a vocabulary of 32,000 in fp32 is 262 MB."""


class CausalObjective:
    """Predict each token from those before it.

    The labels are the sample's tokens one to the right of the inputs. This is the only place
    where they are shifted.
    """

    def __init__(self, config: object = None) -> None:
        del config  # it has no options

    def batch(self, samples: Sequence[Sample], rng: np.random.Generator) -> Batch:
        """Stack windows of n + 1 tokens to inputs and labels [batch, n]; shorter ones are padded.

        Padding stands behind the text, where a causal model cannot see it from, and its labels
        do not count.
        """
        longest = max(len(sample.tokens) for sample in samples) - 1
        inputs = np.zeros((len(samples), longest), dtype=np.int64)
        labels = np.full((len(samples), longest), IGNORED, dtype=np.int64)
        for row, sample in enumerate(samples):
            length = len(sample.tokens) - 1
            inputs[row, :length] = sample.tokens[:-1]
            labels[row, :length] = _labels(sample)
        count = int((labels != IGNORED).sum())
        return Batch({"tokens": torch.from_numpy(inputs)}, torch.from_numpy(labels), count)

    def loss(self, output: ModelOutput, batch: Batch) -> LossOutput:
        """Summed cross-entropy in nats, in fp32 whatever the model computes in.

        Logits of more than `CHUNK` positions are computed a chunk at a time, and again in the
        backward pass: one more product with the head against a tensor that would often be the
        largest of the step.
        """
        hidden, labels = output.hidden.flatten(0, 1), batch.labels.flatten()
        total = torch.zeros((), device=hidden.device)
        for part, target in zip(
            torch.split(hidden, CHUNK), torch.split(labels, CHUNK), strict=True
        ):
            if hidden.requires_grad and len(labels) > CHUNK:
                total = total + checkpoint(_summed, output.head, part, target, use_reentrant=False)
            else:
                total = total + _summed(output.head, part, target)
        return LossOutput(total)


def _summed(head: object, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    assert callable(head)
    logits = head(hidden).float()
    return F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")


def _labels(sample: Sample) -> NDArray[np.int64]:
    labels = sample.tokens[1:]
    return labels if sample.counted is None else np.where(sample.counted[1:], labels, IGNORED)
