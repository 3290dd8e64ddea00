"""The loss while it is learnt: divergence, spikes, a plateau, no learning at all."""

from __future__ import annotations

import math
from statistics import mean, median
from typing import ClassVar

from create_llm.runs.events import StepEnd
from create_llm.training.callbacks import Overrides
from create_llm_guard.findings import Finding
from create_llm_guard.rules.base import Rule, Run
from create_llm_guard.series import Series, noise

SLOWER = 0.3
"""By what the learning rate is multiplied; three times makes a fortieth of it."""


def slower(rate: float) -> str:
    return f"a lower learning rate: llm train --resume never --learning-rate {SLOWER * rate:.2g}"


class Divergence(Rule):
    """The loss climbs and stays up.

    Seen by the median of the last 5 logged losses (of 25 where there are hundreds) against its
    lowest so far: a rise of a quarter of all that was learnt since guessing, of 0.5 nats, and of 4
    times the noise from one logged loss to the next. Of a healthy run the last is the one that
    matters: by its noise alone the median strays by less than 3.5 times it in a thousand logs. A
    run that only rises is compared with what models begin with: 1.25 times guessing at most.

    Causes: a learning rate beyond what the loss surface bears (Cohen et al. 2021, 2103.00065), a
    batch that is not text. What is lost rarely comes back (Chowdhery et al. 2022, 2204.02311,
    section 5.1: go back to a checkpoint before it).
    """

    name: ClassVar[str] = "divergence"
    NATS, SHARE, NOISES, BEGINS = 0.5, 0.25, 4.0, 1.25

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._losses = Series()
        self._best: float | None = None

    def step(self, event: StepEnd) -> Finding | None:
        if not self._losses.add(event.step, event.loss) or len(self._losses) < 5:
            return None
        now = self._losses.middle(max(5, min(len(self._losses) // 20, 25)))
        self._best = min(now, now if self._best is None else self._best)
        best = self._reachable(self._best, now)
        rise, much = now - best, self._much(best)
        if rise < much / 2:
            self.lasting = None
        if self.lasting is not None or rise < much:
            return None
        self.lasting = self._finding(event, now, best)
        return self.lasting

    def _reachable(self, best: float, now: float) -> float:
        """One that has only risen from the start had little time to be better than guessing."""
        if self.run.guess is None or now <= self._losses.first[0]:
            return best
        return min(best, self.BEGINS * self.run.guess)

    def _much(self, best: float) -> float:
        learnt = max((self.run.guess or self._losses.first[0]) - best, 0.0)
        calm = noise(self._losses.values[:-5][-200:])
        return max(self.NATS, self.SHARE * learnt, self.NOISES * calm)

    def _finding(self, event: StepEnd, now: float, best: float) -> Finding:
        seen = f"the loss has risen from {best:.2f} to {now:.2f} and stays there"
        if self._best is not None and best < self._best:
            seen = f"the loss only rises: {now:.4g}, where models begin below {best:.2f}"
        return Finding(
            self.name,
            event.step,
            seen,
            "The model is losing what it had learnt; it seldom finds back by itself",
            (
                slower(self.run.learning_rate),
                "a longer warm-up: --set training.warmup_steps=…",
                "look at the text of these steps, if it happens at the same step again",
            ),
            "serious",
            began=self._before(best, now),
            remedy=Overrides(learning_rate=SLOWER),
        )

    def _before(self, best: float, now: float) -> int:
        """The last logged step that was still nearer to the best than to where it went."""
        middle = best + 0.25 * (now - best)
        steps = zip(self._losses.steps, self._losses.values, strict=True)
        return max((step for step, loss in steps if loss <= middle), default=0)


class Spikes(Rule):
    """The loss leaps up and comes back.

    A logged loss above the median of the 20 before by 10 times their noise, 0.5 nats and a tenth;
    said when the next is back, and again only when there have been 5 more. One harms nothing; many
    are how divergence begins (Chowdhery et al. 2022, 2204.02311; Molybog et al. 2023, 2304.09871).
    """

    name: ClassVar[str] = "spikes"
    NOISES, NATS, SHARE, AGAIN = 10.0, 0.5, 0.1, 5

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._calm = Series()
        self._up: StepEnd | None = None
        self._seen = 0

    def step(self, event: StepEnd) -> Finding | None:
        up, self._up = self._up, None
        if len(self._calm) >= 20 and event.loss > self._bound():
            if up is None:
                self._up = event
                return None
            up = None  # two in a row are no spike: `Divergence` sees to it
        found = self._back(up) if up is not None else None
        self._calm.add(event.step, event.loss)
        return found

    def _bound(self) -> float:
        last = self._calm.values[-20:]
        middle = median(last)
        return middle + max(self.NOISES * noise(last), self.NATS, self.SHARE * middle)

    def _back(self, up: StepEnd) -> Finding | None:
        self._seen += 1
        if self._seen % self.AGAIN != 1:
            return None
        usual = median(self._calm.values[-20:])
        times = "" if self._seen == 1 else f", the {self._seen}th time"
        return Finding(
            self.name,
            up.step,
            f"the loss leapt from {usual:.2f} to {up.loss:.2f} at step {up.step}{times}, and came "
            "back",
            "Some text of that step is unlike the rest, or the learning rate is at its limit. One "
            "such leap harms nothing",
            (
                "if there are more of them, " + slower(self.run.learning_rate),
                "look for odd lines in the text: llm data check",
            ),
        )


class Plateau(Rule):
    """The loss no longer falls, although the learning rate is high and much of the run is to come.

    The last quarter of the run's steps (in hundredths of the run, 12 of which must hold a log) in
    two halves: the second differs by less than half a hundredth, twice the noise of that
    difference added; the learning rate is above 0.3 of its peak, at least a fifth of the run
    remains, and the loss is above 0.1 nats, so that there is something left to learn, and below
    0.95 of guessing, so that something was (else see `NotLearning`). By the power laws of Kaplan
    et al. 2020, 2001.08361, a run that is well falls by twice as much.
    """

    name: ClassVar[str] = "plateau"
    PARTS, RECENT, LEAST, FALL = 100, 25, 12, 0.005
    RATE, LEFT, LEARNT, NOTHING = 0.3, 0.2, 0.1, 0.95

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._means: dict[int, tuple[float, int]] = {}
        self._told = False

    def step(self, event: StepEnd) -> Finding | None:
        part = (event.step - 1) * self.PARTS // max(self.run.total_steps, 1)
        if not math.isfinite(event.loss):
            return None
        so_far, count = self._means.get(part, (0.0, 0))
        self._means[part] = (so_far * count + event.loss) / (count + 1), count + 1
        if self._told or not self._is_time(event, part):
            return None
        return self._stays(event, [self._means[n][0] for n in self._recent(part)])

    def _recent(self, part: int) -> list[int]:
        return [n for n in range(part - self.RECENT, part + 1) if n in self._means]

    def _is_time(self, event: StepEnd, part: int) -> bool:
        begun = (part - self.RECENT) / self.PARTS * self.run.total_steps >= self.run.warmup_steps
        left = 1 - event.step / self.run.total_steps >= self.LEFT
        fast = event.learning_rate >= self.RATE * self.run.learning_rate
        return begun and left and fast and len(self._recent(part)) >= self.LEAST

    def _stays(self, event: StepEnd, recent: list[float]) -> Finding | None:
        half = len(recent) // 2
        before, now = mean(recent[:half]), mean(recent[-half:])
        # Of the difference of two means of `half` values each.
        unsure = noise(recent) * (2 / half) ** 0.5
        guess = self.run.guess
        other_rule = now < self.LEARNT or (guess is not None and now > self.NOTHING * guess)
        if other_rule or abs(before - now) + 2 * unsure > self.FALL * before:
            return None
        self._told = True
        return Finding(
            self.name,
            event.step,
            f"the loss has stayed at {now:.3f} for a quarter of the run ({before:.3f} in the first "
            "half of that)",
            "The model has learnt what it can with these settings; more of the same changes little",
            (
                "a larger model: llm train --resume never --set model.layers=…",
                "more, or other, text",
                f"use what there is: llm train --resume never --max-steps {event.step}",
            ),
        )


class NotLearning(Rule):
    """The loss never fell: a learning rate that is dead, or a text without a pattern.

    Said at once for a learning rate of 0 after the warm-up. Else after a tenth of the run and 20
    logs past the warm-up: the lowest median of 10 logged losses is below that of the first 5 by
    less than 0.05 nats and by less than twice their noise.
    """

    name: ClassVar[str] = "learning_rate"
    NATS, NOISES, LOGS = 0.05, 2.0, 20

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._losses = Series()
        self._best = math.inf
        self._told = False

    def step(self, event: StepEnd) -> Finding | None:
        if event.step <= self.run.warmup_steps or self._told:
            return None
        if self._losses.add(event.step, event.loss):
            self._best = min(self._best, self._losses.middle(10))
        if event.learning_rate <= 0.0 and event.step < self.run.total_steps:
            return self._finding(event, "the learning rate is 0")
        early = event.step < 0.1 * self.run.total_steps or len(self._losses) < self.LOGS
        if early or self._fell():
            return None
        first, now = median(self._losses.first[:5]), self._losses.middle(10)
        return self._finding(
            event,
            f"after {event.step:,} steps the loss is {now:.3f}, as at the start ({first:.3f}); the "
            f"learning rate is {event.learning_rate:.2g}",
        )

    def _fell(self) -> bool:
        first = self._losses.first
        fall = median(first[:5]) - self._best
        return fall > max(self.NATS, self.NOISES * noise(first) / 10**0.5)

    def _finding(self, event: StepEnd, seen: str) -> Finding:
        self._told = True
        tenfold = 10 * self.run.learning_rate or 1e-3
        return Finding(
            self.name,
            event.step,
            seen,
            "The model does not learn: its steps are too small to matter, or the text holds no "
            "pattern",
            (
                f"a higher learning rate: llm train --resume never --learning-rate {tenfold:.2g}",
                "see what the model reads: llm data preview",
                "after a fine-tuning: see that some weights are not frozen",
            ),
        )
