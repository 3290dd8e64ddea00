"""What a text is enough for."""

from __future__ import annotations

from typing import ClassVar

from create_llm_guard.findings import Finding
from create_llm_guard.rules.advice import (
    LEAST_STEPS,
    MORE_TEXT,
    read_too_often,
    smaller_model,
)
from create_llm_guard.rules.base import Rule


class TooLittleText(Rule):
    """More passes over the text than it is worth, or a model far beyond it; known at the start.

    A text is worth about as much again for each of its first 4 passes and hardly anything after 16
    (Muennighoff et al. 2023, 2305.16264: its worth decays with a half-life of 15 repetitions).
    Said above 20 passes where the model has more parameters than the text has tokens, so that it
    can learn it by heart; and where it has 200 times as many, however often it is read. (For one
    pass, about 20 tokens for each parameter are best: Hoffmann et al. 2022, 2203.15556. Small
    models of one's own are rightly trained with far fewer.)
    """

    name: ClassVar[str] = "too_little_text"
    TIMES = 200.0

    def begin(self) -> Finding | None:
        run = self.run
        passes = run.total_steps * run.tokens_per_step / max(run.train_tokens, 1)
        ratio = run.parameters / max(run.train_tokens, 1)
        if not read_too_often(run, run.total_steps) and ratio <= self.TIMES:
            return None
        return Finding(
            self.name,
            0,
            f"{run.train_tokens:,} tokens to learn from, read {passes:,.1f} times, for a model of "
            f"{run.parameters:,} parameters",
            "The model is likely to learn this text by heart rather than its language",
            (MORE_TEXT, smaller_model(run), *self._fewer_passes()),
        )

    def _fewer_passes(self) -> tuple[str, ...]:
        """4 of them, unless a run so short is none, or not shorter."""
        steps = round(4 * self.run.train_tokens / max(self.run.tokens_per_step, 1))
        if not LEAST_STEPS <= steps < self.run.total_steps:
            return ()
        return (f"fewer passes: {self.run.again(max_steps=steps)}",)
