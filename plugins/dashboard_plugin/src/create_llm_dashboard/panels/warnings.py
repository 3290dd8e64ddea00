"""What went wrong or might, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable

from create_llm_dashboard.advice import advice
from create_llm_dashboard.history import Event
from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS
from create_llm_dashboard.state import closing_note
from create_llm_dashboard.words import shown

_SHOWN = 50
_GRAVITY = ("serious", "warning", "note")


def data(view: View) -> Json:
    """The gravest first, and of those the newest."""
    told = sorted(_told(view), key=lambda event: _GRAVITY.index(_level(event)))
    return {
        "live": view.is_live,
        "warnings": [
            {
                "step": event["step"],
                "level": _level(event),
                "message": shown(event.get("message")),
                "todo": advice(event.get("suggestion")),
            }
            for event in told[:_SHOWN]
        ],
    }


def _told(view: View) -> Iterable[Event]:
    """Newest first, without what the box at the top says of a run that is over."""
    said = {} if view.is_live else closing_note(view.run)
    told = reversed(view.run.history.events("warning"))
    return (event for event in told if event is not said)


def _level(event: Event) -> str:
    level = event.get("level")
    return level if level in _GRAVITY else "warning"


PANEL = Panel("Warnings", 35, data, SCRIPTS / "warnings.js")
