"""The next token, from what a model computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from create_llm.errors import DataError
from create_llm.models.sampling import Sampling

Array: TypeAlias = NDArray[np.float32]
"""numpy's: on so few numbers a call costs several times what it computes, and torch's cost more."""


@np.errstate(all="ignore")  # what is not finite is told below, in words
def choose(
    logits: Tensor, sampling: Sampling, generator: torch.Generator, text: Sequence[int] = ()
) -> int:
    """One token id.

    Args:
        logits: fp32 [vocabulary], on the CPU.
        text: the tokens so far, for the repetition penalty.

    Raises:
        DataError: the logits are no numbers.
    """
    values: Array = logits.numpy()
    if sampling.repetition_penalty != 1 and text:
        values = _penalized(values, sampling.repetition_penalty, text)
    if sampling.temperature == 0:
        best = int(values.argmax())
        _check_finite(float(values[best]))
        return best
    kept, ids = _likeliest(values / np.float32(sampling.temperature), sampling)
    place = _drawn(_probabilities(kept, sampling), generator)
    return place if ids is None else int(ids[place])


def _probabilities(logits: Array, sampling: Sampling) -> Array:
    """Softmax, and zero where top-p or min-p leaves out; not normalised again."""
    probabilities: Array = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    if sampling.top_p < 1:
        # The token that crosses top_p is kept: what stands *before* it must be below.
        before = probabilities.cumsum() - probabilities
        probabilities[before >= sampling.top_p] = 0
    if sampling.min_p > 0:
        probabilities[probabilities < sampling.min_p * probabilities.max()] = 0
    return probabilities


def _drawn(weights: Array, generator: torch.Generator) -> int:
    """A place, as likely as its share of the weights."""
    below = weights.cumsum(dtype=np.float64)
    _check_finite(float(below[-1]))
    point = float(torch.rand((), generator=generator, dtype=torch.float64)) * below[-1]
    # Rounding may take the point up to the sum: the last that has a weight, then.
    last = below.searchsorted(below[-1])
    return int(min(below.searchsorted(point, side="right"), last))


def _likeliest(logits: Array, sampling: Sampling) -> tuple[Array, NDArray[np.intp] | None]:
    """What top-k keeps, and of which ids; likeliest first where top-p needs that."""
    if 0 < sampling.top_k < len(logits):
        ids = np.argpartition(logits, -sampling.top_k)[-sampling.top_k :]
        ids = ids[np.argsort(-logits[ids], kind="stable")]
        return logits[ids], ids
    if sampling.top_p < 1:
        ids = np.argsort(-logits, kind="stable")
        return logits[ids], ids
    return logits, None


def _penalized(logits: Array, penalty: float, text: Sequence[int]) -> Array:
    used = list(set(text))
    kept, changed = logits[used], logits.copy()
    changed[used] = np.where(kept > 0, kept / penalty, kept * penalty)
    return changed


def _check_finite(number: float) -> None:
    if not math.isfinite(number):
        raise DataError(
            "the model computes no number for the next token: weights of it are not finite",
            fixes=(
                "take an earlier version, or an earlier checkpoint: llm runs list",
                "train it again with a lower training.learning_rate",
            ),
        )
