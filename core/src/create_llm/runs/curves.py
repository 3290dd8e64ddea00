"""What a run measured, step by step, read from its events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from create_llm.runs.events import read_events
from create_llm.runs.report import is_event

Points = tuple[tuple[int, float], ...]
"""(step, value), by rising step."""

MAX_POINTS = 400
"""Of one curve: more than a picture has pixels to show apart."""

# By the names under which `metrics_of` gives the same figures to callbacks.
_MEASURED: Mapping[str, Mapping[str, str]] = {
    "step": {
        "loss": "train/loss",
        "learning_rate": "train/learning_rate",
        "tokens_per_second": "train/tokens_per_second",
    },
    "eval": {"val_loss": "val/loss", "val_bits_per_byte": "val/bits_per_byte"},
}


def read_curves(events: Path) -> dict[str, Points]:
    """Metric → its points; empty where there is no file."""
    return curves_of(read_events(events)) if events.is_file() else {}


def curves_of(events: Iterable[dict[str, Any]]) -> dict[str, Points]:
    """The run as it stands: steps that were taken again after a resume count once."""
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for event in filter(is_event, events):
        if event["event"] == "train_start":
            kept = event.get("resumed_from") or 0
            curves = defaultdict(
                dict, {name: _until(points, kept) for name, points in curves.items()}
            )
        for field, name in _MEASURED.get(event["event"], {}).items():
            if isinstance(event.get(field), int | float):
                curves[name][event["step"]] = event[field]
    return {name: _thinned(sorted(points.items())) for name, points in curves.items() if points}


def _until(points: Mapping[int, float], step: int) -> dict[int, float]:
    return {at: value for at, value in points.items() if at <= step}


def _thinned(points: list[tuple[int, float]]) -> Points:
    """Every k-th point, and always the last."""
    every = -(-len(points) // MAX_POINTS)
    return tuple(points[len(points) - 1 :: -every][::-1])
