"""The quality of a run as one number, 0 to 100, with its reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from create_llm.runs.events import EvalEnd
from create_llm.runs.yardsticks import ACCEPTABLE, GOOD
from create_llm_guard.findings import Finding
from create_llm_guard.rules.base import Run

LEARNT, TREND, GAP, CALM = 55, 15, 15, 15
"""The most points for each."""

SPOILT = 10
"""The most for a run that was spoilt: its model is no use."""

NOTHING = 0.98
"""Share of the loss of guessing from which on nothing was learnt; as far above, it was spoilt."""

_WORDS = ((30, "of no use yet"), (60, "young"), (80, "fair"), (100, "good for its size"))
"""Up to which score."""


@dataclass(frozen=True, slots=True)
class Reason:
    """
    Attributes:
        points: of those that there are for it, weighed by what the model has learnt.
        alone: as many without that.
    """

    points: int
    of: int
    why: str
    alone: int

    @property
    def weak(self) -> bool:
        """Whether it lost a third of its points or more, not for want of learning."""
        return 3 * self.alone < 2 * self.of

    @property
    def lost(self) -> int:
        return self.of - self.alone


@dataclass(frozen=True, slots=True)
class Quality:
    """
    Attributes:
        score: None where the run was never scored on text it had not seen.
        spoilt: whether anything made the model worse than it had to be.
    """

    score: int | None
    reasons: tuple[Reason, ...]
    spoilt: bool = False

    @property
    def word(self) -> str | None:
        """What the score means."""
        score = self.score
        return None if score is None else next(word for most, word in _WORDS if score <= most)


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
        points = round(SPOILT * _share_learnt(run, finite[-1].val_loss)) if finite else 0
        return Quality(points, (Reason(points, 100, spoilt, points),), spoilt=True)
    if not finite:
        return Quality(None, ())
    # Nothing else counts for a model that has not learnt.
    weight = min(2 * _share_learnt(run, finite[-1].val_loss), 1.0)
    others = (_trend(finite), _gap(finite[-1]), _calm(findings))
    reasons = (_learnt(run, finite[-1].val_loss), *(_weighed(each, weight) for each in others))
    return Quality(sum(reason.points for reason in reasons), reasons)


def _share_learnt(run: Run, loss: float) -> float:
    """From that of counting tokens, 0, to that of a model that uses what stands before them, 1."""
    if not run.guess:
        return 0.5
    return min(max((ACCEPTABLE - loss / run.guess) / (ACCEPTABLE - GOOD), 0.0), 1.0)


def _learnt(run: Run, loss: float) -> Reason:
    share = _share_learnt(run, loss)
    points = round(LEARNT * share)
    if not run.guess:
        why = f"validation loss {loss:.2f}; that of guessing is not known"
        return Reason(points, LEARNT, why, points)
    if loss >= NOTHING * run.guess:
        told = "it has learnt nothing"
    elif share == 0:
        told = "it has learnt little more than how often each token occurs"
    else:
        told = "much" if share == 1 else "some" if share >= 0.5 else "a little"
        told = f"it has learnt {told} of what follows on what"
    numbers = f"validation loss {loss:.2f}, where blind guessing gives {run.guess:.2f}"
    return Reason(points, LEARNT, f"{told}: {numbers}", points)


def _weighed(reason: Reason, weight: float) -> Reason:
    """In full only for a model that has learnt; praise that counts for less says so."""
    points, why = round(weight * reason.points), reason.why
    if weight < 1 and reason.points == reason.of:
        why += f", which is worth {'little' if weight else 'nothing'} yet"
    return replace(reason, points=points, why=why)


def _trend(scores: Sequence[EvalEnd]) -> Reason:
    """All points where the last score is the best, none where it is a tenth above."""
    best, last = min(each.val_loss for each in scores), scores[-1].val_loss
    rise = (last - best) / max(best, 1e-9)
    points = round(TREND * min(max(1 - rise / 0.1, 0.0), 1.0))
    if rise <= 0.005:
        return Reason(points, TREND, "it was at its best at the end", points)
    why = f"it was better at step {best_step(scores):,}: {best:.2f}, now {last:.2f}"
    return Reason(points, TREND, why, points)


def best_step(scores: Sequence[EvalEnd]) -> int:
    return min(scores, key=lambda each: each.val_loss).step


def _gap(last: EvalEnd) -> Reason:
    """All points up to a gap of a twentieth, none from three tenths on, of the validation loss."""
    gap = (last.val_loss - last.train_loss) / max(last.val_loss, 1e-9)
    points = round(GAP * min(max((0.3 - gap) / 0.25, 0.0), 1.0))
    well = "as well as" if points == GAP else "worse than" if points else "far worse than"
    numbers = f"loss {last.val_loss:.2f} against {last.train_loss:.2f}"
    why = f"it knows text it has not seen {well} the text it learnt from: {numbers}"
    return Reason(points, GAP, why, points)


def _calm(findings: Sequence[Finding]) -> Reason:
    """Each serious finding counts; of the others each kind once, however often it was said. Notes
    do not."""
    findings = [each for each in findings if each.level != "note"]
    serious = [each.rule for each in findings if each.level == "serious"]
    others = {each.rule for each in findings} - set(serious)
    points = max(CALM - 5 * len(serious) - 3 * len(others), 0)
    if not findings:
        return Reason(points, CALM, "nothing went wrong", points)
    names = ", ".join(dict.fromkeys(each.rule.replace("_", " ") for each in findings))
    return Reason(points, CALM, f"warnings: {names}", points)
