"""Training and validation loss over zones, with a verdict in words."""

from __future__ import annotations

from dataclasses import asdict

from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS
from create_llm_dashboard.reading import ReadRun
from create_llm_dashboard.series import Seen, curve, finite
from create_llm_dashboard.zones import bands, scores_of, verdict_on, vocabulary_of

_ROWS = 200
"""Evaluations in the table."""
_OVER = ("completed", "diverged")
"""Any other run can go on."""


def data(view: View) -> Json:
    seen = Seen.asked(view.query)
    vocabulary = vocabulary_of(view.run)
    told = verdict_on(view.run, unfinished=view.status not in _OVER)
    return {
        "runs": [_curves(run, seen) for run in (view.run, *view.others)],
        "zones": [asdict(band) for band in bands(vocabulary)] if vocabulary else [],
        "verdict": asdict(told) if told else None,
        "table": [
            {"step": s.step, "train": finite(s.train), "val": finite(s.val)}
            for s in scores_of(view.run)[-_ROWS:]
        ],
        "went_back": [{"at": at, "to": to} for at, to in view.run.history.went_back],
    }


def _curves(run: ReadRun, seen: Seen) -> Json:
    return {
        "name": run.name,
        "train": curve(run.history.steps, "loss", seen),
        # Evaluations are few, and means of much text: they need no smoothing.
        "val": curve(run.history.evals, "val_loss", Seen(seen.first, seen.last)),
    }


PANEL = Panel("Loss", 20, data, SCRIPTS / "curves.js", wide=True)
