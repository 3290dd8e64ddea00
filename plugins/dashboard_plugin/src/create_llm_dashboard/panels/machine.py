"""Processor, memory and GPUs, of the machine that this page comes from."""

from __future__ import annotations

from create_llm.runs.lock import holder_of
from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS
from create_llm_dashboard.system import EVERY_SECONDS


def data(view: View) -> Json:
    holder = holder_of(view.run.folder.path) if view.is_live else None
    here = holder is not None and not holder.is_elsewhere
    view.system.look(holder.pid if holder is not None and here else None)
    return {
        "every_seconds": EVERY_SECONDS,
        "live": view.is_live,
        "elsewhere": holder.host if holder is not None and not here else None,
        "readings": view.system.as_json(),
    }


PANEL = Panel("Machine", 50, data, SCRIPTS / "machine.js")
