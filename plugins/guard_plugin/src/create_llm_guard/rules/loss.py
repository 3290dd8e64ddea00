"""The loss while it is learnt: divergence, spikes, a plateau."""

from __future__ import annotations

import math
from statistics import mean, median
from typing import ClassVar

from create_llm.runs.events import EvalEnd, StepEnd
from create_llm.training.callbacks import Overrides
from create_llm_guard.findings import Finding
from create_llm_guard.rules.advice import larger_model, longer_warmup
from create_llm_guard.rules.base import Rule, Run
from create_llm_guard.series import Series, noise, noise_at_most


class Divergence(Rule):
    """The loss climbs and stays up, or the model is worse than one that guesses.

    It climbs: the median of the last 5 logged losses (of 25 where there are hundreds) against its
    lowest so far: a rise of a quarter of all that was learnt since guessing, of 0.5 nats, and of 4
    times the noise from one logged loss to the next, after 10 logs. Of a healthy run the last is
    the one that matters: by its noise alone the median strays by less than 3.5 times it in a
    thousand logs. That noise is itself measured by few logs at first, so its upper bound counts.

    It is worse than guessing: past the warm-up each of the last 5 logged losses is above 1.25 times
    that; after 20 steps 3 logs above twice that, or both losses of an evaluation above 1.25 times,
    are enough. Where models begin is known, whatever the first log was, which may lie behind a
    blow-up. One that begins high (its weights are not those of a fresh model) and has only fallen
    since has a fifth of the run to get below.

    Causes: a learning rate beyond what the loss surface bears (Cohen et al. 2021, 2103.00065), a
    batch that is not text. What is lost rarely comes back (Chowdhery et al. 2022, 2204.02311,
    section 5.1: go back to a checkpoint before it).
    """

    name: ClassVar[str] = "divergence"
    NATS, SHARE, NOISES, LOGS = 0.5, 0.25, 4.0, 10
    BEGINS, FAR, FALLING, STEPS = 1.25, 2.0, 0.2, 20

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._losses = Series()
        self._best, self._top = math.inf, -math.inf

    def step(self, event: StepEnd) -> Finding | None:
        if not self._losses.add(event.step, event.loss):
            return None
        self._top = max(event.loss, self._top)
        if len(self._losses) < 5:
            return self._at_once(event.step)
        now = self._losses.middle(max(5, min(len(self._losses) // 20, 25)))
        self._best = min(now, self._best)
        rises = now - self._best >= self._much(self._best)
        climbs = rises and len(self._losses) >= self.LOGS
        from_nonsense = self._best > self.BEGINS * (self.run.guess or math.inf)
        if (rises and from_nonsense) or self._stays_above(event.step, 5, self.BEGINS):
            return self._once(self._nonsense(event.step, now))
        if climbs:
            return self._once(self._climbs(event.step, now))
        if now < self._well():
            self.lasting = None
        return self._at_once(event.step)

    def _at_once(self, step: int) -> Finding | None:
        if step < self.STEPS or not self._stays_above(step, 3, self.FAR):
            return None
        return self._once(self._nonsense(step, self._losses.middle(3)))

    def _stays_above(self, step: int, logs: int, times: float) -> bool:
        """Whether that many logs were above so many times guessing."""
        low = min(self._losses.values[-logs:])
        return len(self._losses) >= logs and self._above_guessing(step, low, times)

    def scored(self, event: EvalEnd) -> Finding | None:
        low, high = sorted((event.train_loss, event.val_loss))
        if self.lasting is not None and high < self._well():
            self.lasting = None
        begun = event.step >= self.STEPS and math.isfinite(high)
        if not begun or not self._above_guessing(event.step, low, self.BEGINS):
            return None
        return self._once(self._nonsense(event.step, low))

    def _well(self) -> float:
        """Below what a loss is as it should be again."""
        return min(self._best + self._much(self._best) / 2, self.run.guess or math.inf)

    def _once(self, finding: Finding) -> Finding | None:
        if self.lasting is not None:
            return None
        self.lasting = finding
        return finding

    def _above_guessing(self, step: int, low: float, times: float) -> bool:
        guess, run = self.run.guess, self.run
        if guess is None or step <= run.warmup_steps or low <= times * guess:
            return False
        falls = len(self._losses) > 1 and self._losses.first[0] == self._top
        return not falls or step > self.FALLING * run.total_steps

    def _much(self, best: float) -> float:
        learnt = max((self.run.guess or self._losses.first[0]) - best, 0.0)
        calm = noise_at_most(self._losses.values[:-5][-200:])
        return max(self.NATS, self.SHARE * learnt, self.NOISES * calm)

    def _nonsense(self, step: int, now: float) -> Finding:
        guess = self.run.guess or 0.0
        return self._finding(
            step,
            f"the loss is {now:.4g}, far above that of blind guessing, {guess:.2f}",
            "The training has thrown the model far off, and it seldom recovers by itself",
            self._last_below(self.BEGINS * guess),
        )

    def _climbs(self, step: int, now: float) -> Finding:
        # The last step at which the loss was still nearer to the best than to where it went.
        return self._finding(
            step,
            f"the loss has risen from {self._best:.2f} to {now:.2f} and stays there",
            "The model is losing what it had learnt, and seldom recovers by itself",
            self._last_below(self._best + 0.25 * (now - self._best)),
        )

    def _finding(self, step: int, seen: str, meaning: str, began: int) -> Finding:
        return Finding(
            self.name,
            step,
            seen,
            meaning,
            (
                self.run.slower(),
                *longer_warmup(self.run),
                "look at the text of these steps, if it happens at the same step again",
            ),
            "serious",
            began=began,
            remedy=Overrides(learning_rate=self.run.slowing),
        )

    def _last_below(self, loss: float) -> int:
        """The step of the last log that was so low; 0, the beginning, where none was."""
        steps = zip(self._losses.steps, self._losses.values, strict=True)
        return max((step for step, each in steps if each <= loss), default=0)


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
                f"if there are more of them, {self.run.slower()}",
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
                larger_model(self.run),
                "more, or other, text",
                f"end here: {self.run.again(max_steps=event.step)}",
            ),
        )
