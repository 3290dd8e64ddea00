"""What a rule is: a reader of events that says what it finds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from create_llm.runs.events import EvalEnd, StepEnd, TrainStart
from create_llm_guard.findings import Finding


@dataclass(frozen=True, slots=True)
class Run:
    """What a rule needs to know of a run before its first step.

    Attributes:
        guess: nats a token of a model that gives every token the same chance; None where the size
            of its vocabulary is not known.
        clip: the greatest length of a gradient; 0 for any.
    """

    total_steps: int
    parameters: int
    train_tokens: int
    tokens_per_step: int
    guess: float | None
    learning_rate: float
    warmup_steps: int
    clip: float
    on_gpu: bool

    @classmethod
    def of(cls, event: TrainStart) -> Run:
        training: Mapping[str, Any] = event.config.get("training", {})
        return cls(
            total_steps=event.total_steps,
            parameters=event.parameters,
            train_tokens=event.train_tokens,
            tokens_per_step=event.tokens_per_step,
            guess=math.log(event.vocab_size) if event.vocab_size else None,
            learning_rate=float(training.get("learning_rate", 0.0)),
            warmup_steps=min(int(training.get("warmup_steps", 0)), event.total_steps // 10),
            clip=float(training.get("gradient_clip", 1.0)),
            on_gpu=event.device != "cpu",
        )


class Rule:
    """Reads the events of one run in their order. Pure: what it says follows from them alone.

    It says a thing once, until it has been well again.

    Attributes:
        lasting: what it found that spoils the model, as long as it is not well again.
    """

    name: ClassVar[str]
    lasting: Finding | None = None

    def __init__(self, run: Run) -> None:
        self.run = run

    def begin(self) -> Finding | None:
        return None

    def step(self, event: StepEnd) -> Finding | None:
        return None

    def scored(self, event: EvalEnd) -> Finding | None:
        return None
