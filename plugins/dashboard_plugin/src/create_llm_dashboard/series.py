"""Curves as a page draws them: the stretch that is seen, in as many points as it can show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from create_llm_dashboard.columns import Array, Columns
from create_llm_dashboard.downsample import chosen, smoothed

MOST_POINTS = 1200
_SMOOTHEST = 0.2


@dataclass(frozen=True, slots=True)
class Seen:
    """What of a curve a page wants to see, in its own words checked.

    Attributes:
        first, last: steps.
        smoothing: over which share of the run's steps a curve is averaged, 0 … 0.2.
    """

    first: float = -math.inf
    last: float = math.inf
    smoothing: float = 0.0

    @classmethod
    def asked(cls, query: Mapping[str, str]) -> Seen:
        """Whatever is no number is as if it had not been asked for."""
        smoothing = _number(query.get("smoothing"), 0.0)
        first, last = _number(query.get("from"), -math.inf), _number(query.get("to"), math.inf)
        return cls(first, last, min(max(smoothing, 0.0), _SMOOTHEST))


def curve(rows: Columns, name: str, seen: Seen, most: int = MOST_POINTS) -> dict[str, object]:
    """`x` steps and `y` values, null where there is none; one point beyond each end."""
    steps, values = rows["step"], rows[name]
    if seen.smoothing:
        values = smoothed(values, round(seen.smoothing * len(values)))
    begin = max(int(np.searchsorted(steps, seen.first)) - 1, 0)
    end = int(np.searchsorted(steps, seen.last, side="right")) + 1
    steps, values = steps[begin:end], values[begin:end]
    shown = chosen(values, most)
    return {"x": steps[shown].tolist(), "y": numbers(values[shown])}


def numbers(values: Array) -> list[float | None]:
    """For JSON, which has neither NaN nor infinity; six digits are more than a screen shows."""
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values.tolist()]


def finite(value: object) -> float | None:
    """A number that JSON can carry, or None."""
    try:
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
    except OverflowError:  # an integer of hundreds of digits
        return None


def _number(text: str | None, default: float) -> float:
    try:
        value = float(text) if text else default
    except ValueError:
        return default
    return default if math.isnan(value) else value
