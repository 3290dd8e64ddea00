"""What the model writes while it learns."""

from __future__ import annotations

from create_llm.runs.page import printable
from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS
from create_llm_dashboard.panels.due import due

_SHOWN = 30
_LONGEST = 4000


def data(view: View) -> Json:
    samples = view.run.history.events("sample")[-_SHOWN:]
    shown = [
        {
            "step": sample["step"],
            "prompt": _text(sample.get("prompt")),
            "text": _text(sample.get("text")),
        }
        for sample in reversed(samples)
    ]
    return {"samples": shown, "none": _none(view)}


def _none(view: View) -> str:
    """What is said where there is no sample."""
    if not view.is_live:
        return "None was written."
    if len(view.run.history.evals):
        return "None so far."
    when = due(view.run, "training", "sample_interval")
    return f"None yet. A model that writes text does so first {when}."


def _text(value: object) -> str:
    text = printable(str(value or ""))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


PANEL = Panel("Samples", 30, data, SCRIPTS / "samples.js")
