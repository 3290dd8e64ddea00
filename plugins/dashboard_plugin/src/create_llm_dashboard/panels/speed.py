"""Tokens a second, learning rate, gradient norm, and how much of the machine the model uses."""

from __future__ import annotations

import math

from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS
from create_llm_dashboard.reading import ReadRun
from create_llm_dashboard.series import Seen, curve

_POINTS = 300
_RECENT = 20
"""Runs among which a measured peak is looked for."""
_FLOPS = 6
"""Per parameter and token: 2 forward, 4 backward (Kaplan et al. 2020, 2001.08361, 2.1)."""


def data(view: View) -> Json:
    rows, seen = view.run.history.steps, Seen()
    return {
        "runs": [
            {
                "name": run.name,
                **{
                    name: curve(run.history.steps, name, seen, _POINTS)
                    for name in ("tokens_per_second", "learning_rate", "grad_norm")
                },
            }
            for run in (view.run, *view.others)
        ],
        "compute": _compute(view, float(rows["tokens_per_second"][-1]) if len(rows) else None),
    }


def _compute(view: View, speed: float | None) -> Json | None:
    """What the model's arithmetic takes each second, and which share of the peak that is."""
    parameters = view.run.history.latest("train_start").get("parameters")
    measured = view.run.summary().get("flops_utilisation")
    if speed is None or not math.isfinite(speed) or not isinstance(parameters, int):
        return None
    flops, peak = _FLOPS * parameters * speed, _peak(view)
    share = measured if isinstance(measured, float) else (flops / peak if peak else None)
    return {"flops": flops, "utilisation": share}


def _peak(view: View) -> float | None:
    """As measured at the end of this run, or of the latest on the same device and precision."""

    def made_by(run: ReadRun) -> tuple[object, object]:
        frozen = run.manifest().get("frozen", {})
        return frozen.get("device"), frozen.get("precision")

    wanted = made_by(view.run)
    for run in (view.run, *reversed(view.runs.all()[-_RECENT:])):
        peak = run.summary().get("peak_flops")
        if isinstance(peak, float) and made_by(run) == wanted:
            return peak
    return None


PANEL = Panel("Speed", 40, data, SCRIPTS / "speed.js", wide=True)
