"""The sample: what an objective makes a batch of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sample:
    """One training or evaluation example.

    Attributes:
        tokens: int64 [n]. For next-token objectives a window of context + 1 tokens, so that the
            labels are the same window one to the right; they are shifted there and nowhere else.
        counted: bool [n], or None for all. Whether predicting tokens[i] counts in the loss;
            tokens[0] has nothing before it and is never predicted.
        segments: int32 [n], or None. Which document each token belongs to.
    """

    tokens: NDArray[np.int64]
    counted: NDArray[np.bool_] | None = None
    segments: NDArray[np.int32] | None = None
