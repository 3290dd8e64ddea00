"""The learning rate: far from what is usual, dead, or too high to learn with."""

from __future__ import annotations

import math
from statistics import median
from typing import ClassVar

from create_llm.runs.events import StepEnd
from create_llm_guard.findings import Finding
from create_llm_guard.rules.base import Rule, Run
from create_llm_guard.series import Series, noise


class NotLearning(Rule):
    """The loss never fell: a learning rate that is dead, or a text without a pattern.

    At the start a note says that the rate is more than 30 times what is usual, or less than a
    hundredth of it. With one that low 8 logs past the warm-up are enough.

    Said at once for a learning rate of 0 after the warm-up. Else after a tenth of the run and 20
    logs past the warm-up: the lowest median of 10 logged losses is above 0.95 of guessing, and
    below that of the first 5, or below guessing where they were above it, by less than 0.05 nats
    and by less than twice their noise. A loss above 1.25 times guessing is for `Divergence`.

    A rate below 1e-5, or below a tenth of what is usual, is taken for too low; any other for too
    high: with too low a one a model learns slowly still.
    """

    name: ClassVar[str] = "learning_rate"
    NATS, NOISES, LOGS = 0.05, 2.0, 20
    LEARNT, THROWN_OFF = 0.95, 1.25
    LOW, LOW_SHARE = 1e-5, 0.1
    FAR_ABOVE, FAR_BELOW, FEW_LOGS = 30.0, 100.0, 8

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._losses = Series()
        self._best, self._highest_rate = math.inf, 0.0
        self._told = False

    def begin(self) -> Finding | None:
        run, usual = self.run, self.run.usual_rate
        above = usual is not None and run.learning_rate > self.FAR_ABOVE * usual
        if usual is None or not (above or self._far_below()):
            return None
        return Finding(
            self.name,
            0,
            f"the learning rate is {run.learning_rate:.2g}, and {usual:.2g} in the template of "
            "this project",
            "With one so high the model is likely to be thrown far off"
            if above
            else "With one so low the model learns next to nothing",
            (run.slower() if above else run.faster(),),
            "note",
        )

    def _far_below(self) -> bool:
        return self.run.learning_rate * self.FAR_BELOW < (self.run.usual_rate or 0.0)

    def step(self, event: StepEnd) -> Finding | None:
        self._highest_rate = max(self._highest_rate, event.learning_rate)
        if event.step <= self.run.warmup_steps or self._told:
            return None
        if self._losses.add(event.step, event.loss):
            self._best = min(self._best, self._losses.middle(10))
        if event.learning_rate <= 0.0 and event.step < self.run.total_steps:
            return self._finding(event, "the learning rate is 0", low=True)
        if self._is_early(event.step) or self._fell():
            return None
        low = self._highest_rate < max(self.LOW, self.LOW_SHARE * (self.run.usual_rate or 0.0))
        return self._finding(event, self._seen(event), low=low)

    def _is_early(self, step: int) -> bool:
        if self._far_below():
            return len(self._losses) < self.FEW_LOGS
        return step < 0.1 * self.run.total_steps or len(self._losses) < self.LOGS

    def _fell(self) -> bool:
        first, guess = self._losses.first, self.run.guess
        if guess is not None and not self.LEARNT <= self._best / guess <= self.THROWN_OFF:
            return True
        began = min(median(first[:5]), guess or math.inf)
        return began - self._best > max(self.NATS, self.NOISES * noise(first) / 10**0.5)

    def _seen(self, event: StepEnd) -> str:
        first, now = median(self._losses.first[:5]), self._losses.middle(10)
        guess = f", and guessing gives {self.run.guess:.3f}" if self.run.guess else ""
        return (
            f"after {event.step:,} steps the loss is {now:.3f}; it began at {first:.3f}{guess}; "
            f"the learning rate is {event.learning_rate:.2g}"
        )

    def _finding(self, event: StepEnd, seen: str, *, low: bool) -> Finding:
        self._told = True
        size = "small to matter" if low else "large, so that each undoes what others did"
        return Finding(
            self.name,
            event.step,
            seen,
            f"The model does not learn: its steps are too {size}, or the text holds no pattern",
            (
                self.run.faster() if low else self.run.slower(),
                "see what the model reads: llm data preview",
                "when fine-tuning, check that not all weights are frozen",
            ),
        )
