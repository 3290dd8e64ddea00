"""The objective contract: samples to a batch, a model's output to a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from create_llm.data.samples import Sample
from create_llm.models.architecture import ModelOutput

IGNORED = -100
"""The label of a position that does not count, as in torch's cross-entropy."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One micro-batch.

    Attributes:
        inputs: keyword arguments of the model's forward; integer tensors [batch, length].
        labels: int64 [batch, length], `IGNORED` where the position does not count.
        count: how many labels count. A host integer, known before the forward pass, so that the
            loss can be divided by the count of the whole accumulated, all-rank batch.
    """

    inputs: Mapping[str, Tensor]
    labels: Tensor
    count: int

    def to(self, device: torch.device) -> Batch:
        inputs = {name: value.to(device, non_blocking=True) for name, value in self.inputs.items()}
        return Batch(inputs, self.labels.to(device, non_blocking=True), self.count)


@dataclass(frozen=True, slots=True)
class LossOutput:
    """The loss *summed* over the counted positions (scalar, fp32), and sums of other figures."""

    total: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


class Objective(Protocol):
    """Built as `target(config)`."""

    def batch(self, samples: Sequence[Sample], rng: np.random.Generator) -> Batch:
        """Make a micro-batch, on the CPU; `rng` is all the randomness it may use."""
        ...

    def loss(self, output: ModelOutput, batch: Batch) -> LossOutput:
        """The summed loss; runs inside the wrapped module's forward."""
        ...
