"""What the model writes while it learns."""

from __future__ import annotations

from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS
from create_llm_dashboard.panels.due import due
from create_llm_dashboard.words import shown

_SHOWN = 30


def data(view: View) -> Json:
    samples = view.run.history.events("sample")[-_SHOWN:]
    written = [
        {
            "step": sample["step"],
            "prompt": shown(sample.get("prompt")),
            "text": shown(sample.get("text")),
        }
        for sample in reversed(samples)
    ]
    return {"samples": written, "none": _none(view)}


def _none(view: View) -> str:
    """What is said where there is no sample."""
    if not view.is_live:
        return "None was written."
    if len(view.run.history.evals):
        return "None so far."
    when = due(view.run, "training", "sample_interval")
    return f"None yet. A model that writes text does so first {when}."


PANEL = Panel("Samples", 30, data, SCRIPTS / "samples.js")
