"""Fewer points of a curve than a screen has pixels, without losing a spike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from create_llm_dashboard.columns import Array


def smoothed(values: Array, window: int) -> Array:
    """The mean of each value and those before it, `window` in all; NaN counts for nothing."""
    if window <= 1 or not len(values):
        return values
    known = np.isfinite(values)
    sums = np.cumsum(np.where(known, values, 0.0), dtype=np.float64)
    counts = np.cumsum(known, dtype=np.float64)
    sums[window:] -= sums[:-window].copy()
    counts[window:] -= counts[:-window].copy()
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Array = sums / counts
    return means


def chosen(values: Array, most: int) -> NDArray[np.int64]:
    """Indices of at most about `most` points that look as all of them do, rising.

    The lowest and the highest of each of `most / 2` equal stretches, so that what sticks out of a
    million points is still seen, and the first and the last.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    stretches = max(most // 2, 1)
    length = count // stretches
    body = values[: stretches * length].reshape(stretches, length)
    starts = np.arange(stretches) * length
    if np.isnan(body.min()):  # which is looked for without a copy: there is seldom one
        # A stretch without a number gives its first point, which draws a gap.
        lowest = np.argmin(np.where(np.isnan(body), np.inf, body), axis=1) + starts
        highest = np.argmax(np.where(np.isnan(body), -np.inf, body), axis=1) + starts
    else:
        lowest, highest = body.argmin(axis=1) + starts, body.argmax(axis=1) + starts
    return np.unique(np.concatenate([[0], lowest, highest, [count - 1]]))
