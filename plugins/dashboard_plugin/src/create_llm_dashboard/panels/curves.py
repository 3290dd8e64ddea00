"""Training and validation loss over zones, with a verdict in words."""

from __future__ import annotations

from dataclasses import asdict

from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS
from create_llm_dashboard.reading import ReadRun
from create_llm_dashboard.series import Seen, curve, finite
from create_llm_dashboard.zones import Score, bands, verdict

_ROWS = 200
"""Evaluations in the table."""


def data(view: View) -> Json:
    seen = Seen.asked(view.query)
    vocabulary = _vocabulary(view.run)
    scores = _scores(view.run)
    losses = view.run.history.steps["loss"]
    told = verdict(scores, float(losses[-1]), vocabulary) if vocabulary and len(losses) else None
    return {
        "runs": [_curves(run, seen) for run in (view.run, *view.others)],
        "zones": [asdict(band) for band in bands(vocabulary)] if vocabulary else [],
        "verdict": asdict(told) if told else None,
        "table": [
            {"step": s.step, "train": finite(s.train), "val": finite(s.val)}
            for s in scores[-_ROWS:]
        ],
        "total_steps": view.run.total_steps(),
    }


def _curves(run: ReadRun, seen: Seen) -> Json:
    return {
        "name": run.name,
        "train": curve(run.history.steps, "loss", seen),
        # Evaluations are few, and means of much text: they need no smoothing.
        "val": curve(run.history.evals, "val_loss", Seen(seen.first, seen.last)),
    }


def _scores(run: ReadRun) -> list[Score]:
    evals = run.history.evals
    columns = (evals[name].tolist() for name in ("step", "train_loss", "val_loss"))
    return [Score(*row) for row in zip(*columns, strict=True)]


def _vocabulary(run: ReadRun) -> int | None:
    """Of the model; where its events do not say, as many tokens as the tokenizer was to have."""
    told = run.history.latest("train_start").get("vocab_size")
    asked = run.manifest().get("config", {}).get("tokenizer", {}).get("vocab_size")
    return next((size for size in (told, asked) if isinstance(size, int) and size > 1), None)


PANEL = Panel("Loss", 20, data, SCRIPTS / "curves.js", wide=True)
