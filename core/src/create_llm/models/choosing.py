"""The next token, from what a model computes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from create_llm.models.sampling import Sampling


def choose(
    logits: Tensor, sampling: Sampling, generator: torch.Generator, text: Sequence[int] = ()
) -> int:
    """One token id.

    Args:
        logits: fp32 [vocabulary], on the CPU.
        text: the tokens so far, for the repetition penalty.
    """
    if sampling.repetition_penalty != 1 and text:
        logits = _penalized(logits, sampling.repetition_penalty, text)
    if sampling.temperature == 0:
        return int(logits.argmax())
    logits, ids = _likeliest(logits / sampling.temperature, sampling)
    probabilities = logits.softmax(-1)
    if sampling.top_p < 1:
        # The token that crosses top_p is kept: what stands *before* it must be below.
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before >= sampling.top_p, 0.0)
    if sampling.min_p > 0:
        rare = probabilities < sampling.min_p * probabilities.max()
        probabilities = probabilities.masked_fill(rare, 0.0)
    place = torch.multinomial(probabilities, 1, generator=generator)
    return int(place if ids is None else ids[place])


def _likeliest(logits: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """What top-k keeps, and of which ids; likeliest first where top-p needs that."""
    if 0 < sampling.top_k < logits.numel():
        kept, ids = logits.topk(sampling.top_k)
        return kept, ids
    if sampling.top_p < 1:
        ordered, ids = logits.sort(descending=True)
        return ordered, ids
    return logits, None


def _penalized(logits: Tensor, penalty: float, text: Sequence[int]) -> Tensor:
    used = torch.tensor(list(set(text)))
    kept = logits[used]
    return logits.index_copy(0, used, torch.where(kept > 0, kept / penalty, kept * penalty))
