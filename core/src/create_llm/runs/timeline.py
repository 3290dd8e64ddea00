"""The versions of a project over time, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from create_llm.runs.chart import Line, line_chart

_LABELS = 12
"""Versions that have room for a name below the axis."""

METRICS = (
    ("val_bits_per_byte", "validation, bits per byte (fewer are better)"),
    ("val_loss", "validation loss, nats per token"),
)


def timeline(rows: Sequence[Mapping[str, Any]]) -> str:
    """A chart of the versions among the rows of `history`: each one's score, and the best so far.

    Bits per byte; where no version has them, the validation loss.
    """
    made = [row for row in rows if row["version"] is not None]
    scored = [m for m in METRICS if any(row[m[0]] is not None for row in made)]
    metric, label = (*scored, METRICS[0])[0]
    points = [(n, row[metric]) for n, row in enumerate(made) if row[metric] is not None]
    best, lowest = [], float("inf")
    for number, value in points:
        lowest = min(lowest, value)
        best.append((number, lowest))
    every = -(-len(made) // _LABELS) if made else 1
    return line_chart(
        "Versions",
        [
            Line("each version", points, _names(made, points), joined=False),
            Line("the best so far", best, steps=True),
        ],
        x_label="version and day",
        y_label=label,
        x_ticks={n: _day(row) for n, row in enumerate(made) if n % every == 0},
    )


def _names(made: Sequence[Mapping[str, Any]], points: Sequence[tuple[int, float]]) -> list[str]:
    """Beside each point, as long as they do not cover one another."""
    few = len(points) <= 2 * _LABELS
    return [str(made[number]["version"]) if few else "" for number, _ in points]


def _day(row: Mapping[str, Any]) -> str:
    day = str(row["created"] or row["started"] or "")[5:10]
    return f"{row['version']} {day}".strip()
