"""What the model writes while it learns."""

from __future__ import annotations

from create_llm.runs.page import printable
from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS

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
    return {"samples": shown}


def _text(value: object) -> str:
    text = printable(str(value or ""))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


PANEL = Panel("Samples", 30, data, SCRIPTS / "samples.js")
