"""The quality of a run as one number, 0 to 100, with its reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from create_llm.runs.events import EvalEnd
from create_llm_guard.findings import Finding
from create_llm_guard.rules.base import Run

LEARNT, TREND, GAP, CALM = 55, 15, 15, 15
"""The most points for each."""

HALF = 0.5
"""Nats below guessing, as a share of it, that earn all points for what was learnt. A model of a few
million parameters gets there with a text of its own (docs/benchmarks.md: 0.45 to 0.6)."""

SPOILT = 10
"""The most for a run that was spoilt: its model is no use."""


@dataclass(frozen=True, slots=True)
class Reason:
    points: int
    of: int
    why: str


@dataclass(frozen=True, slots=True)
class Quality:
    """
    Attributes:
        score: None where the run was never scored on text it had not seen.
    """

    score: int | None
    reasons: tuple[Reason, ...]


def quality(
    run: Run, scores: Sequence[EvalEnd], findings: Sequence[Finding], *, spoilt: str | None
) -> Quality:
    """
    Args:
        scores: of the run as it stands, in order.
        spoilt: what spoilt it, if anything did.
    """
    finite = [each for each in scores if math.isfinite(each.val_loss + each.train_loss)]
    if spoilt is not None:
        return Quality(
            _spoilt_points(run, finite), (Reason(0, 100 - SPOILT, f"the run was spoilt: {spoilt}"),)
        )
    if not finite:
        return Quality(None, ())
    # Nothing else counts for a model that has not learnt.
    weight = min(2 * _share_learnt(run, finite[-1].val_loss), 1.0)
    others = (_trend(finite), _gap(finite[-1]), _calm(findings))
    lighter = (replace(each, points=round(weight * each.points)) for each in others)
    reasons = (_learnt(run, finite), *lighter)
    return Quality(sum(reason.points for reason in reasons), reasons)


def _spoilt_points(run: Run, scores: Sequence[EvalEnd]) -> int:
    """A trace of what it had learnt by then."""
    return round(SPOILT * _share_learnt(run, scores[-1].val_loss)) if scores else 0


def _share_learnt(run: Run, loss: float) -> float:
    if not run.guess:
        return 0.5
    return min(max((run.guess - loss) / run.guess / HALF, 0.0), 1.0)


def _learnt(run: Run, scores: Sequence[EvalEnd]) -> Reason:
    loss = scores[-1].val_loss
    if not run.guess:
        why = f"validation loss {loss:.2f}; what guessing gives is not known"
    else:
        why = f"validation loss {loss:.2f}, where guessing gives {run.guess:.2f}"
    return Reason(round(LEARNT * _share_learnt(run, loss)), LEARNT, why)


def _trend(scores: Sequence[EvalEnd]) -> Reason:
    """All points where the last score is the best, none where it is a tenth above."""
    best, last = min(each.val_loss for each in scores), scores[-1].val_loss
    rise = (last - best) / max(best, 1e-9)
    points = round(TREND * min(max(1 - rise / 0.1, 0.0), 1.0))
    if rise <= 0.005:
        return Reason(points, TREND, "it was at its best at the end")
    step = min(scores, key=lambda each: each.val_loss).step
    return Reason(points, TREND, f"it was better at step {step:,}: {best:.2f}, now {last:.2f}")


def _gap(last: EvalEnd) -> Reason:
    """All points up to a gap of a twentieth, none from three tenths on, of the validation loss."""
    gap = (last.val_loss - last.train_loss) / max(last.val_loss, 1e-9)
    points = round(GAP * min(max((0.3 - gap) / 0.25, 0.0), 1.0))
    why = f"{last.train_loss:.2f} on its own text, {last.val_loss:.2f} on other"
    return Reason(points, GAP, why)


def _calm(findings: Sequence[Finding]) -> Reason:
    serious = sum(each.level == "serious" for each in findings)
    points = max(CALM - 5 * serious - 3 * (len(findings) - serious), 0)
    if not findings:
        return Reason(points, CALM, "nothing was amiss")
    names = ", ".join(dict.fromkeys(each.rule.replace("_", " ") for each in findings))
    return Reason(points, CALM, f"amiss: {names}")
