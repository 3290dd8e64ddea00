"""The checkpoints that were written."""

from __future__ import annotations

from pathlib import PurePath

from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS
from create_llm_dashboard.series import finite

_SHOWN = 20


def data(view: View) -> Json:
    told = view.run.history.events("checkpoint")[-_SHOWN:]
    there = set(view.run.folder.steps())
    return {
        "checkpoints": [
            {
                "step": event["step"],
                "name": PurePath(str(event.get("path", ""))).name,
                "reason": str(event.get("reason", "")),
                "seconds": finite(event.get("seconds")),
                "kept": event["step"] in there,
            }
            for event in reversed(told)
        ]
    }


PANEL = Panel("Checkpoints", 70, data, SCRIPTS / "checkpoints.js")
