"""How good a loss is, in words for whoever has never seen one.

Two yardsticks come from the vocabulary alone, of V tokens: a model that knows nothing and takes
each token to be as likely as any other has a loss of ln V nats; one that knows only how often each
token occurs has about three quarters of that in natural text, whatever the language (token
frequencies are Zipf's: for V = 300 … 50,000 their entropy is 0.70 to 0.85 of ln V). Hence, for the
validation loss:

    good          below half of ln V: it uses what stands before a token
    acceptable    up to three quarters: better than frequencies alone
    problematic   above: no better than counting tokens

These are where a curve lies. What it does can make it worse: a validation loss that has risen from
its best for three evaluations while the training loss fell (overfitting), a gap between the two of
more than a tenth of ln V, a loss that is no number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Zone = Literal["good", "acceptable", "problematic"]

GOOD, ACCEPTABLE = 0.5, 0.75
"""Shares of ln V up to which a loss is that."""
_GAP = 0.1
_RISING = 3
_ABOVE_BEST = 0.02


@dataclass(frozen=True, slots=True)
class Band:
    """A zone from one loss to another, nats; `high` None: and all above."""

    zone: Zone
    low: float
    high: float | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a run stands, and why, in one or two sentences."""

    zone: Zone
    reason: str


@dataclass(frozen=True, slots=True)
class Score:
    """One evaluation, nats per token."""

    step: int
    train: float
    val: float


def bands(vocabulary: int) -> tuple[Band, ...]:
    """The zones of a loss for a vocabulary of so many tokens."""
    guess = math.log(vocabulary)
    good, acceptable = GOOD * guess, ACCEPTABLE * guess
    return (
        Band("good", 0.0, good, "it predicts from what stands before"),
        Band("acceptable", good, acceptable, "better than knowing how often each token occurs"),
        Band("problematic", acceptable, None, "no better than counting tokens"),
    )


def verdict(scores: Sequence[Score], loss: float | None, vocabulary: int) -> Verdict | None:
    """
    Args:
        scores: the evaluations so far, by rising step.
        loss: the latest training loss, for as long as there is no evaluation.
    """
    if not scores and loss is None:
        return None
    latest = scores[-1].val if scores else loss
    if latest is None or not math.isfinite(latest):
        return Verdict(
            "problematic",
            "The loss is no longer a number: training has gone wrong. Learn more slowly: a "
            "third of the learning rate is a good try.",
        )
    where = _where(latest, vocabulary, measured=bool(scores))
    doing = _doing(scores, vocabulary)
    if doing is None:
        return where
    worse: Zone = "problematic" if "problematic" in (doing.zone, where.zone) else "acceptable"
    return Verdict(worse, f"{doing.reason} {where.reason}")


def _where(loss: float, vocabulary: int, *, measured: bool) -> Verdict:
    guess = math.log(vocabulary)
    of = f"The {'validation' if measured else 'training'} loss is {loss:.2f}"
    blind = f"guessing blindly among {vocabulary:,} tokens gives {guess:.2f}"
    unsure = max(math.exp(loss), 1)
    choices = f"about as unsure as choosing among {unsure:,.0f} equally likely tokens"
    if loss < GOOD * guess:
        return Verdict("good", f"{of}, {choices}; {blind}. The model uses what it has read.")
    if loss < ACCEPTABLE * guess:
        return Verdict(
            "acceptable",
            f"{of}, {choices}; {blind}. It has learnt more than how often tokens occur; "
            "longer training, or more text, should bring it further.",
        )
    return Verdict(
        "problematic",
        f"{of}; {blind}. So far it knows little more than how often tokens occur. That is how "
        "every training begins; if it stays so, learn for longer or with another learning rate.",
    )


def _doing(scores: Sequence[Score], vocabulary: int) -> Verdict | None:
    """What is wrong with how the losses move, if anything."""
    if not scores:
        return None
    best, last = min(scores, key=lambda score: score.val), scores[-1]
    since = [score for score in scores if score.step > best.step]
    if len(since) >= _RISING and last.val > best.val * (1 + _ABOVE_BEST):
        if last.train < best.train:
            return Verdict(
                "problematic",
                f"Overfitting: since step {best.step:,} the loss on text it has not seen rises, "
                f"from {best.val:.2f} to {last.val:.2f}, while it still falls on text it learns "
                "from: it learns by heart. Stop, and use the best checkpoint; more text helps.",
            )
        return Verdict(
            "problematic",
            f"It gets worse: the validation loss was {best.val:.2f} at step {best.step:,} and is "
            f"{last.val:.2f} now. A lower learning rate is the first thing to try.",
        )
    gap = last.val - last.train
    if gap > _GAP * math.log(vocabulary):
        return Verdict(
            "acceptable",
            f"On text it has not seen it is {gap:.2f} worse than on text it learnt from: it begins "
            "to learn by heart. Watch that the validation loss goes on falling.",
        )
    return None
