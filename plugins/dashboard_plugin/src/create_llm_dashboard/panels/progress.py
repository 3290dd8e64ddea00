"""How far a run is, what it is at now, and how long it still takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS
from create_llm_dashboard.panels.due import due
from create_llm_dashboard.reading import ReadRun
from create_llm_dashboard.series import finite
from create_llm_dashboard.state import went_back
from create_llm_dashboard.timeleft import time_left


def data(view: View) -> Json:
    run, steps = view.run, view.run.history.steps
    evals, finishing = run.history.evals, _finishing(run) if view.is_live else ""
    left = time_left(run) if view.is_live and not finishing else None
    best, per_byte = evals["val_loss"], evals["val_bits_per_byte"]
    return {
        "step": run.step(),
        "total_steps": run.total_steps(),
        "went_back": _went_back(run),
        "awaited": (finishing or " ".join(_awaited(run))) if view.is_live else "",
        "left": {name: round(value) for name, value in asdict(left).items()} if left else None,
        "loss": finite(float(steps["loss"][-1])) if len(steps) else None,
        "val_loss": finite(float(best[-1])) if len(evals) else None,
        "bits_per_byte": finite(float(per_byte[-1])) if len(evals) else None,
        "best_val_loss": finite(float(best.min())) if len(evals) else None,
        "tokens_per_second": finite(float(steps["tokens_per_second"][-1])) if len(steps) else None,
        "memory_bytes": finite(float(steps["memory_bytes"][-1])) if len(steps) else None,
        "parameters": run.history.latest("train_start").get("parameters"),
    }


def _went_back(run: ReadRun) -> str:
    told = went_back(run)
    tail = "the curves show the way taken since, and the warnings say why."
    return f"{told[0].upper()}{told[1:]}; {tail}" if told else ""


def _finishing(run: ReadRun) -> str:
    """What a run does that has taken all its steps. The file of events has no word of it: it is
    told from what is still to come."""
    total = run.total_steps()
    if not total or run.step() < total:
        return ""
    if len(run.history.evals) and run.history.evals["step"][-1] >= total:
        return "All steps are taken: saving the model …"
    return "All steps are taken: evaluating for the last time, then the model is saved …"


def _awaited(run: ReadRun) -> Iterable[str]:
    """What a young run has yet to tell, and when it will."""
    start, history = run.history.latest("train_start"), run.history
    if not start:
        yield "Training is about to begin: what it needs is being made ready."
        return
    if not len(history.steps) or history.steps["step"][-1] <= start["step"]:
        when = due(run, "logging", "log_interval")
        begun = "Training goes on. The next" if start["step"] else "Training has begun. The first"
        yield f"{begun} figures come {when}."
    if not len(history.evals):
        when = due(run, "training", "eval_interval")
        yield f"How it does on text that it does not learn from is measured first {when}."


PANEL = Panel("Progress", 10, data, SCRIPTS / "progress.js", wide=True)
