"""The objective contract: samples to a batch, a model's output to a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from pydantic import BaseModel
from torch import Tensor

from create_llm.data.samples import Sample
from create_llm.data.tokenizer import Tokenizer
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


class Objective(ABC):
    """What a model is trained to do.

    Attributes:
        control_tokens: what the tokenizer has to reserve for it, as spelt.
        shared: how many tokens a sample has in common with the one before it: 1 where the first
            token of a sample is only read, never predicted.
        scores_text: whether the loss is what it costs to spell the text, so that bits per byte
            make sense.
        isolates: whether its batches hold `segments` where samples do, so that a model which reads
            them keeps documents apart.
        trains: the capabilities of architectures that it can train, any of them; empty: all.
        learns_answers: whether it is made for conversations, of which the answers alone count.
        stop_tokens: ids that end what a model writes, beside the end of the text.
    """

    control_tokens: ClassVar[tuple[str, ...]] = ()
    shared: ClassVar[int] = 0
    scores_text: ClassVar[bool] = False
    isolates: ClassVar[bool] = False
    trains: ClassVar[frozenset[str]] = frozenset()
    learns_answers: ClassVar[bool] = False
    stop_tokens: frozenset[int] = frozenset()

    def __init__(self, config: BaseModel | None, tokenizer: Tokenizer) -> None:
        """
        Args:
            config: the part's own section, validated; None where it registers no config.
            tokenizer: the one of the model's text.

        Raises:
            DataError: the tokenizer lacks a control token.
        """
        del config, tokenizer

    def window(self, context: int) -> int:
        """How many tokens of text a sample has for a model that reads `context` at once."""
        return context

    @abstractmethod
    def batch(self, samples: Sequence[Sample], seeds: Sequence[int]) -> Batch:
        """Make a micro-batch, on the CPU.

        `seeds[i]` is all the randomness that `samples[i]` may use: a sample then becomes the same
        whatever stands beside it in the batch.
        """

    @abstractmethod
    def loss(self, output: ModelOutput, batch: Batch) -> LossOutput:
        """The summed loss; runs inside the wrapped module's forward."""

    def prompt(self, tokens: Sequence[int]) -> Mapping[str, Tensor]:
        """What a model is given so that it continues a text: inputs with a batch of one."""
        return {"tokens": torch.tensor([list(tokens)])}

    def hf_config(self) -> Mapping[str, int]:
        """What it adds to config.json, by Hugging Face's keys."""
        return {}
