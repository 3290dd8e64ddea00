"""Training and validation loss over zones, with a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from statistics import median, median_low

from create_llm.runs.yardsticks import guessing
from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS
from create_llm_dashboard.reading import ReadRun
from create_llm_dashboard.series import Seen, curve, finite
from create_llm_dashboard.zones import bands, scores_of, verdict_on, vocabulary_of

_HIGH = 1.5
"""Times guessing: a picture is at least as high where some of the curves leave it."""
_LARGE = 50_000
"""A vocabulary, where it is not known."""
_ROWS = 200
"""Evaluations in the table."""
_OVER = ("completed", "diverged")
"""Any other run can go on."""


def data(view: View) -> Json:
    seen = Seen.asked(view.query)
    vocabulary = vocabulary_of(view.run)
    runs = [_curves(run, seen) for run in (view.run, *view.others)]
    told = verdict_on(view.run, unfinished=view.status not in _OVER)
    return {
        "runs": runs,
        "high": _high(list(map(_losses, runs)), vocabulary),
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


def _losses(run: Json) -> list[float]:
    """Of its curves, as they are seen."""
    curves = (run[name] for name in ("train", "val"))
    ys = (curve["y"] for curve in curves if isinstance(curve, dict))
    return [loss for loss in chain.from_iterable(ys) if loss is not None]


def _high(runs: Sequence[Sequence[float]], vocabulary: int | None) -> float | None:
    """Up to which loss a linear picture goes, where it cannot show all: one loss of 800,000 would
    leave nothing to be seen of the others. None: all of it is shown.

    Half of what the middle run measured is in the lower half. It grows by doubling, so that a
    picture of a run that lives seldom changes.
    """
    measured = [losses for losses in runs if losses]
    if not measured:
        return None
    high = _HIGH * guessing(vocabulary or _LARGE)
    middle = median_low(map(median, measured))
    high *= 2 ** max(math.ceil(math.log2(2 * middle / high)), 0) if middle > 0 else 1
    return high if max(map(max, measured)) > high else None


PANEL = Panel("Loss", 20, data, SCRIPTS / "curves.js", wide=True)
