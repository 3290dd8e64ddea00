"""What went wrong or might, and what to do about it."""

from __future__ import annotations

from create_llm.runs.page import printable
from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS

_SHOWN = 50


def data(view: View) -> Json:
    told = view.run.history.events("warning")[-_SHOWN:]
    return {
        "warnings": [
            {
                "step": event["step"],
                "level": str(event.get("level", "warning")),
                "message": printable(str(event.get("message", ""))),
                "suggestion": printable(str(event.get("suggestion") or "")),
            }
            for event in reversed(told)
        ]
    }


PANEL = Panel("Warnings", 35, data, SCRIPTS / "warnings.js")
