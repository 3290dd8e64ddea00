"""A comparison as one HTML file: figures, curves, settings and samples side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from create_llm.models.comparison import METRICS, STAR_RULE
from create_llm.runs.chart import Line, line_chart
from create_llm.runs.page import picture, render

_CHARTS = (
    ("val/bits_per_byte", "Validation", "bits per byte"),
    ("val/loss", "Validation loss", "nats per token"),
    ("train/loss", "Training loss", "nats per token"),
    ("train/tokens_per_second", "Speed of training", "tokens per second"),
)


def comparison_page(found: Mapping[str, Any]) -> str:
    """The page of what `comparison` found."""
    names = [model["name"] for model in found["models"]]
    return render(
        "comparison.html",
        title=f"Compared: {', '.join(names)}",
        metrics=METRICS,
        star_rule=STAR_RULE,
        charts=[picture(chart) for chart in _charts(found["models"])],
        comparable=found["comparable_by_token"],
        sampling_words=_in_words(found["sampling"]),
        like=_to_follow(found),
        **{key: value for key, value in found.items() if key != "sampling"},
    )


def _charts(models: list[Mapping[str, Any]]) -> list[str]:
    """Of what at least one run measured; each model keeps its colour in all of them."""
    charts = []
    for metric, title, label in _CHARTS:
        lines = [Line(model["name"], model["curves"].get(metric, ())) for model in models]
        if any(line.points for line in lines):
            charts.append(line_chart(title, lines, x_label="step", y_label=label))
    return charts


def _in_words(sampling: Mapping[str, Any]) -> str:
    """Which settings all the samples were made with."""
    told = {name: value for name, value in sampling.items() if value or value == 0}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())


def _to_follow(found: Mapping[str, Any]) -> str:
    """The model whose recipe is worth another run."""
    return str(found["best"].get("bits_per_byte", [found["models"][0]["name"]])[0])
