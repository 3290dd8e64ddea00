"""How far a run is, what it is at now, and how long it still takes."""

from __future__ import annotations

from dataclasses import asdict

from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS
from create_llm_dashboard.series import finite
from create_llm_dashboard.timeleft import time_left


def data(view: View) -> Json:
    run, steps = view.run, view.run.history.steps
    left, evals = time_left(run) if view.is_live else None, run.history.evals
    best = run.history.evals["val_loss"]
    return {
        "step": run.step(),
        "total_steps": run.total_steps(),
        "went_back": [{"at": at, "to": to} for at, to in run.history.went_back],
        "left": {name: round(value) for name, value in asdict(left).items()} if left else None,
        "loss": finite(float(steps["loss"][-1])) if len(steps) else None,
        "val_loss": finite(float(best[-1])) if len(evals) else None,
        "best_val_loss": finite(float(best.min())) if len(evals) else None,
        "tokens_per_second": finite(float(steps["tokens_per_second"][-1])) if len(steps) else None,
        "memory_bytes": finite(float(steps["memory_bytes"][-1])) if len(steps) else None,
        "parameters": run.history.latest("train_start").get("parameters"),
    }


PANEL = Panel("Progress", 10, data, SCRIPTS / "progress.js", wide=True)
