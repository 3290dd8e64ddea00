"""How good a loss is, in words for whoever has never seen one.

Where a loss lies is told by `create_llm.runs.yardsticks`, from the vocabulary alone. What the
curves do can make it worse: a validation loss that has risen from its best for three evaluations
while the training loss fell (overfitting), a gap between the two of more than a tenth of ln V, a
loss that is no number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from create_llm.runs.yardsticks import ACCEPTABLE, GOOD, Zone, guessing, zone_of
from create_llm_dashboard.reading import ReadRun
from create_llm_dashboard.words import nats

_GAP = 0.1
_RISING = 3
_ABOVE_BEST = 0.02
_AS_GUESSING = 0.05
"""So near to guessing, below it or above, a model is that has learnt nothing yet."""

_YOUNG = 0.1
"""The share of a run that may pass without a verdict, where nothing has been scored."""


Tone = Literal[Zone, "quiet"]
"""quiet: there is nothing to say yet."""


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

    zone: Tone
    reason: str


@dataclass(frozen=True, slots=True)
class Score:
    """One evaluation, nats per token."""

    step: int
    train: float
    val: float


def bands(vocabulary: int) -> tuple[Band, ...]:
    """The zones of a loss for a vocabulary of so many tokens."""
    guess = guessing(vocabulary)
    good, acceptable = GOOD * guess, ACCEPTABLE * guess
    return (
        Band("good", 0.0, good, "it predicts from what stands before"),
        Band("acceptable", good, acceptable, "better than knowing how often each token occurs"),
        Band(
            "problematic",
            acceptable,
            None,
            f"no better than counting tokens; above {guess:.2f}, worse than guessing blindly",
        ),
    )


def verdict_on(run: ReadRun, *, unfinished: bool) -> Verdict | None:
    """On a run as far as it has been read; None where nothing was measured, or the vocabulary is
    not known."""
    vocabulary, losses = vocabulary_of(run), run.history.steps["loss"]
    if vocabulary is None:
        return None
    loss = float(losses[-1]) if len(losses) else None
    if run.history.latest("train_end").get("status") == "diverged":
        return verdict((), math.nan, vocabulary, unfinished=False)
    if unfinished and (begun := _just_begun(run, loss, vocabulary)):
        return begun
    return verdict(scores_of(run), loss, vocabulary, unfinished=unfinished)


def _just_begun(run: ReadRun, loss: float | None, vocabulary: int) -> Verdict | None:
    """Of a run that is too young for a verdict: where it is now, every run begins. Not of one whose
    loss is above guessing after the warm-up, or no number."""
    total, step = run.total_steps(), run.step()
    if loss is None or not math.isfinite(loss) or len(run.history.evals):
        return None
    if total is None or step >= _YOUNG * total:
        return None
    guess = guessing(vocabulary)
    if loss > (1 + _AS_GUESSING) * guess and step > _warmup(run):
        return None
    where = f"The training loss is {nats(loss)}; guessing blindly among {vocabulary:,} tokens"
    return Verdict("quiet", f"{where} gives {guess:.2f}, and there every training begins.")


def _warmup(run: ReadRun) -> int:
    """Steps in which the learning rate rises: a tenth of the run at most."""
    config = run.manifest().get("config")
    training = config.get("training") if isinstance(config, dict) else None
    steps = training.get("warmup_steps") if isinstance(training, dict) else None
    return min(steps, (run.total_steps() or 0) // 10) if isinstance(steps, int) else 0


def scores_of(run: ReadRun) -> list[Score]:
    """Its evaluations, by rising step."""
    evals = run.history.evals
    columns = (evals[name].tolist() for name in ("step", "train_loss", "val_loss"))
    return [Score(*row) for row in zip(*columns, strict=True)]


def vocabulary_of(run: ReadRun) -> int | None:
    """Of the model; where its events do not say, as many tokens as the tokenizer was to have."""
    told = run.history.latest("train_start").get("vocab_size")
    config = run.manifest().get("config")
    tokenizer = config.get("tokenizer") if isinstance(config, dict) else None
    asked = tokenizer.get("vocab_size") if isinstance(tokenizer, dict) else None
    return next((size for size in (told, asked) if isinstance(size, int) and size > 1), None)


def verdict(
    scores: Sequence[Score], loss: float | None, vocabulary: int, *, unfinished: bool
) -> Verdict | None:
    """
    Args:
        scores: the evaluations so far, by rising step.
        loss: the latest training loss, for as long as there is no evaluation.
        unfinished: whether the run may still get better: it is live, or can go on.
    """
    if not scores and loss is None:
        return None
    latest = scores[-1].val if scores else loss
    if latest is None or not math.isfinite(latest):
        return Verdict(
            "problematic",
            "The loss is no number any more: training went wrong. A lower learning rate is "
            "the first thing to try.",
        )
    zone, where = zone_of(latest, vocabulary), _where(latest, vocabulary, measured=bool(scores))
    doing = _doing(scores, vocabulary, unfinished=unfinished)
    if doing is None:
        return Verdict(
            zone, f"{where} {_meaning(latest / guessing(vocabulary), zone, unfinished=unfinished)}"
        )
    worse: Zone = "problematic" if "problematic" in (doing.zone, zone) else "acceptable"
    return Verdict(worse, f"{doing.reason} {where}")


def _where(loss: float, vocabulary: int, *, measured: bool) -> str:
    """The loss beside what it can be measured by."""
    of = f"The {'validation' if measured else 'training'} loss is {nats(loss)}"
    guess = guessing(vocabulary)
    among = f"among {vocabulary:,} tokens gives {guess:.2f}."
    if loss > (1 + _AS_GUESSING) * guess:
        return f"{of}: worse than guessing blindly, which {among}"
    blind = f"guessing blindly {among}"
    if zone_of(loss, vocabulary) == "problematic":
        return f"{of}; {blind}"
    choices = f"about as unsure as choosing among {max(math.exp(loss), 1):,.0f} equally likely"
    return f"{of}, {choices} tokens; {blind}"


def _meaning(share: float, zone: Zone, *, unfinished: bool) -> str:
    """What a loss of that share of guessing says of the model, and what to do."""
    if zone == "good":
        return "The model uses what it has read."
    if zone == "acceptable":
        further = "should bring it further" if unfinished else "would have brought it further"
        learnt = "It has learnt more than how often tokens occur; longer training, or more text,"
        return f"{learnt} {further}."
    return _little(share, unfinished=unfinished)


def _little(share: float, *, unfinished: bool) -> str:
    """What a loss of that share of guessing means, from three quarters on."""
    if share > 1 + _AS_GUESSING:
        slower = "most often because the learning rate is much too high: a tenth is a good try."
        if unfinished:
            return f"In the first steps that can pass; later, training has gone wrong, {slower}"
        return f"Training went wrong, {slower}"
    knows = "It knows little more than how often tokens occur."
    if share > 1 - _AS_GUESSING:
        knows = "It has not learnt anything yet." if unfinished else "It has learnt nothing."
    if unfinished:
        return (
            f"{knows} Every training begins like that; if it stays so, learn for longer or with "
            "another learning rate."
        )
    return f"{knows} Train for longer, or with another learning rate."


def _doing(scores: Sequence[Score], vocabulary: int, *, unfinished: bool) -> Verdict | None:
    """What is wrong with how the losses move, if anything."""
    if not scores:
        return None
    best, last = min(scores, key=lambda score: score.val), scores[-1]
    since = [score for score in scores if score.step > best.step]
    knows = last.train < (1 - _AS_GUESSING) * guessing(vocabulary)
    if len(since) >= _RISING and last.val > best.val * (1 + _ABOVE_BEST):
        by_heart = knows and last.train < best.train
        worse = _by_heart if by_heart else _worse
        return Verdict("problematic", worse(best, last, unfinished=unfinished))
    gap = last.val - last.train
    if not knows or gap <= _GAP * guessing(vocabulary):
        return None
    heart = (
        "it begins to learn by heart. Watch whether the validation loss goes on falling."
        if unfinished
        else "it has begun to learn by heart. More text, or a smaller model, would help."
    )
    return Verdict(
        "acceptable",
        f"On text it has not seen it is {nats(gap)} worse than on text it learnt from: {heart}",
    )


def _worse(best: Score, last: Score, *, unfinished: bool) -> str:
    """Of losses that were better for a while."""
    it, end = ("It gets worse", "now") if unfinished else ("It got worse", "at the end")
    return (
        f"{it}: the validation loss was {nats(best.val)} at step {best.step:,}, "
        f"{nats(last.val)} {end}. A lower learning rate is the first thing to try."
    )


def _by_heart(best: Score, last: Score, *, unfinished: bool) -> str:
    """Of a validation loss that was better for a while, and a training loss that was not."""
    step, was, now = f"step {best.step:,}", nats(best.val), nats(last.val)
    unseen, own = "on text it has not seen", "on text it learns from"
    if unfinished:
        return (
            f"Overfitting: since {step} the loss {unseen} rises, from {was} to {now}, while it "
            f"still falls {own}: it learns by heart. Stop soon: the checkpoint of {step} is kept "
            "as the best. More text helps."
        )
    return (
        f"Overfitting: after {step} the loss {unseen} rose, from {was} to {now}, while it still "
        f"fell {own}: it learnt by heart. The next time, end near {step}, or give it more text."
    )
