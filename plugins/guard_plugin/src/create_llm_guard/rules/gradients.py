"""The length of the gradient, before clipping: it explodes, or vanishes."""

from __future__ import annotations

from statistics import median
from typing import ClassVar

from create_llm.runs.events import StepEnd
from create_llm.training.callbacks import Overrides
from create_llm_guard.findings import Finding
from create_llm_guard.rules.advice import smaller_model
from create_llm_guard.rules.base import Rule, Run
from create_llm_guard.series import Series

_CLIP = 1.0
"""What models of all sizes are trained with (Brown et al. 2020, 2005.14165, appendix B)."""


class Exploding(Rule):
    """Gradients many times longer than before, again and again.

    In 2 of the last 3 logs above 10 and 50 times the median of the 50 logs that were calm, 10 at
    least, past the warm-up. Without a limit such an update throws the weights far off (Pascanu,
    Mikolov & Bengio 2013, 1211.5063); with one it is short, and its direction still that of a few
    odd tokens.
    """

    name: ClassVar[str] = "exploding_gradients"
    TIMES, LEAST, CALM = 50.0, 10.0, 10

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._calm = Series()
        self._wild: list[bool] = []
        self._told = False

    def step(self, event: StepEnd) -> Finding | None:
        if event.step <= self.run.warmup_steps or len(self._calm) < self.CALM:
            self._calm.add(event.step, event.grad_norm)
            return None
        usual = median(self._calm.values[-50:])
        wild = event.grad_norm > max(self.LEAST, self.TIMES * usual)
        self._wild = [*self._wild[-2:], wild]
        if not wild:
            self._calm.add(event.step, event.grad_norm)
            self._told &= any(self._wild)
        if self._told or sum(self._wild) < 2:
            return None
        self._told = True
        return self._finding(event, usual)

    def _finding(self, event: StepEnd, usual: float) -> Finding:
        clip = min(self.run.clip / 2, _CLIP) if self.run.clip > 0 else _CLIP
        return Finding(
            self.name,
            event.step,
            f"gradients are {event.grad_norm:.3g} long, where {usual:.2g} was usual",
            "Single updates are about to throw the model far off",
            (
                f"a limit: {self.run.again(gradient_clip=clip)}",
                self.run.slower(),
                "look for odd lines in the text: llm data check",
            ),
            "serious",
            began=self._calm.steps[-1],
            remedy=Overrides(self.run.slowing, clip),
        )


class Vanishing(Rule):
    """Gradients next to nothing, of a model that has not learnt yet.

    5 logs in a row below a thousandth of the median of the first 10 past the warm-up, or below
    1e-6, while the loss is above half of that of guessing. Deep models without normalisation, and
    numbers too small for fp16, do that (Hochreiter 1991; Micikevicius et al. 2018, 1710.03740).
    """

    name: ClassVar[str] = "vanishing_gradients"
    SHARE, LEAST, LOGS, LEARNT = 1e-3, 1e-6, 5, 0.5

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._norms = Series()
        self._small = 0
        self._told = False

    def step(self, event: StepEnd) -> Finding | None:
        if event.step <= self.run.warmup_steps or not self._norms.add(event.step, event.grad_norm):
            return None
        usual = median(self._norms.first[:10])
        learnt = self.run.guess is not None and event.loss < self.LEARNT * self.run.guess
        tiny = event.grad_norm < self.LEAST
        small = tiny or (len(self._norms) > 10 and event.grad_norm < self.SHARE * usual)
        self._small = self._small + 1 if small and not learnt else 0
        if self._told or self._small < self.LOGS:
            return None
        self._told = True
        return Finding(
            self.name,
            event.step,
            f"gradients are {event.grad_norm:.1e} long ({usual:.2g} at first), and the loss is "
            f"still {event.loss:.2f}",
            "Nothing tells the model any more how to get better",
            (
                f"numbers with more digits: {self.run.again(precision='fp32')}",
                smaller_model(self.run),
                self.run.slower(),
            ),
        )
