"""Scores on text that the model has not seen."""

from __future__ import annotations

import math
from typing import ClassVar

from create_llm.runs.events import EvalEnd
from create_llm.training.callbacks import Overrides
from create_llm_guard.findings import Finding
from create_llm_guard.rules.advice import more_dropout
from create_llm_guard.rules.base import Rule, Run

_BEGINS = "The model begins to learn its text by heart, and gets worse at everything else"
_SURE = "By now it is sure: the model learns its text by heart, and more steps make it worse"


class Overfitting(Rule):
    """The validation loss rises while the training loss goes on falling.

    Said when the latest score is above the best by 0.05 nats and a hundredth, and the training
    text is known better by as much: 2 scores after the best one, or 0.1 nats and a twentieth above
    it. As sure as that 3 scores after, or at the end of the run: then the best is what to keep
    (early stopping: Prechelt 1998, "Early stopping, but when?").
    """

    name: ClassVar[str] = "overfitting"
    NATS, SHARE = 0.05, 0.01
    MUCH_NATS, MUCH_SHARE = 0.1, 0.05
    SAID, SURE = 2, 3

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._best: EvalEnd | None = None
        self._since = 0
        self._told = self._sure = False

    def scored(self, event: EvalEnd) -> Finding | None:
        if not (math.isfinite(event.val_loss) and math.isfinite(event.train_loss)):
            return None
        if self._best is None or event.val_loss < self._best.val_loss:
            self._best, self._since, self._told, self._sure = event, 0, False, False
            return None
        if event.step == self._best.step:  # scored again, after a resume
            return None
        self._since += 1
        return self._judged(event, self._best)

    def _judged(self, event: EvalEnd, best: EvalEnd) -> Finding | None:
        rise, fall = event.val_loss - best.val_loss, best.train_loss - event.train_loss
        bound = max(self.NATS, self.SHARE * best.val_loss)
        much = rise > max(self.MUCH_NATS, self.MUCH_SHARE * best.val_loss)
        if rise < bound or fall < bound or not (much or self._since >= self.SAID):
            return None
        sure = much and (self._since >= self.SURE or event.step >= self.run.total_steps)
        if (self._told and not sure) or self._sure:
            return None
        self._told, self._sure = True, sure
        return self._finding(event, best, sure=sure)

    def _finding(self, event: EvalEnd, best: EvalEnd, *, sure: bool) -> Finding:
        return Finding(
            self.name,
            event.step,
            f"on text it has not seen the loss rose from {best.val_loss:.2f} (step {best.step:,}) "
            f"to {event.val_loss:.2f}, on the text it learns from it fell from "
            f"{best.train_loss:.2f} to {event.train_loss:.2f}",
            _SURE if sure else _BEGINS,
            (
                f"end where it was best: {self.run.again(max_steps=best.step)}",
                more_dropout(self.run),
                "more text, or a smaller model",
            ),
            began=best.step,
            remedy=Overrides(end_at_best=True) if sure else None,
        )
