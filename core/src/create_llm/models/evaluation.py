"""Scoring a model on text: every token counts once, the last partial window included."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from create_llm.data.windows import Windows
from create_llm.models.objective import Objective
from create_llm.models.precision import autocast

_LONGEST_TOKENS = 64
"""Bytes of a token, on average, that no tokenizer comes to; on English text they are 3 to 5."""


@dataclass(frozen=True, slots=True)
class Score:
    """A model's score on a text.

    Attributes:
        loss: mean nats per counted token.
        tokens: how many tokens counted.
        bytes: UTF-8 bytes of the text they spell, or None where the objective does not score it.
    """

    loss: float
    tokens: int
    bytes: int | None
    seconds: float

    @property
    def perplexity(self) -> float:
        return math.exp(self.loss) if self.loss < 700 else math.inf

    @property
    def bits_per_byte(self) -> float | None:
        """What it takes to store the text with this model; does not depend on the tokenizer.

        End-of-document tokens cost bits too and spell no bytes: they are in the sum.
        """
        if not self.bytes:
            return None
        return self.loss * self.tokens / math.log(2) / self.bytes

    @property
    def passes_text_over(self) -> bool:
        """Whether there are so few tokens that the tokenizer cannot have read the text: bits per
        byte then come out small, and say nothing."""
        return self.bytes is not None and self.tokens * _LONGEST_TOKENS < self.bytes

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Scores:
    """How well a model knows what it does not learn from, and a part of what it does."""

    val: Score
    train: Score


@torch.no_grad()
def evaluate(
    module: nn.Module,
    objective: Objective,
    windows: Windows,
    *,
    text_bytes: int,
    batch_size: int,
    device: torch.device,
    precision: str,
    chosen: Sequence[int] | None = None,
    between: Callable[[int], None] = lambda done: None,
) -> Score:
    """Score a module on the windows of a text.

    Args:
        windows: as the objective shapes them, so that each token is seen once. What an objective
            draws is the same each time: sample i has the seed i.
        text_bytes: UTF-8 bytes of that text.
        chosen: the numbers of the windows that count; all by default.
        between: called before each batch with the number of windows that are scored, to show
            progress and to answer requests; may raise to abandon the score.
    """
    training = module.training
    module.eval()
    started = time.perf_counter()
    total, count = 0.0, 0
    chosen = range(len(windows)) if chosen is None else chosen
    try:
        for first in range(0, len(chosen), batch_size):
            between(first)
            indices = chosen[first : first + batch_size]
            batch = objective.batch([windows[i] for i in indices], indices).to(device)
            with autocast(device, precision):
                loss = objective.loss(module(**batch.inputs), batch)
            total += float(loss.total)
            count += batch.count
    finally:
        module.train(training)
    loss_per_token = total / max(count, 1)
    scored = text_bytes if objective.scores_text else None
    return Score(loss_per_token, count, scored, time.perf_counter() - started)
