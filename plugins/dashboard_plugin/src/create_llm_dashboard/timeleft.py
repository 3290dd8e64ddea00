"""How long a run still takes, as a range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from create_llm_dashboard.reading import ReadRun

_LATEST = 60
"""Reports of speed that the spread is taken of."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """Seconds: likely, and the ends of the range in which four of five such forecasts lie."""

    likely: float
    low: float
    high: float


def time_left(run: ReadRun) -> TimeLeft | None:
    """Of a live run; None where nothing is known yet.

    The run's own forecast (`eta_seconds`: the steps at their latest speed and, as often as they
    are due, evaluations, samples and checkpoints as long as those before took), less the time since
    it was made. Low and high are as if the rest went at the 90th and the 10th percentile of the
    latest speeds instead of their median.
    """
    forecast = run.history.steps["eta_seconds"]
    speeds = run.history.steps["tokens_per_second"][-_LATEST:].astype(np.float64)
    speeds = speeds[np.isfinite(speeds) & (speeds > 0)]
    if not len(forecast) or not len(speeds):
        return None
    seconds = float(forecast[-1])
    if not math.isfinite(seconds):
        return None
    slow, median, fast = (float(np.percentile(speeds, share)) for share in (10, 50, 90))
    passed = run.silent_seconds()
    likely, low, high = seconds, seconds * median / fast, seconds * median / slow
    return TimeLeft(max(likely - passed, 0), max(low - passed, 0), max(high - passed, 0))
