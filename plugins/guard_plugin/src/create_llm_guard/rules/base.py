"""What a rule is: a reader of events that says what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from create_llm.runs.again import rerun_command
from create_llm.runs.events import EvalEnd, StepEnd, TrainStart
from create_llm.runs.yardsticks import guessing
from create_llm_guard.findings import Finding
from create_llm_guard.usual import usual_rate

SLOWER = 0.3
"""By what the learning rate is multiplied; three times makes a fortieth of it."""

_FAR_OFF = 10.0


@dataclass(frozen=True, slots=True)
class Run:
    """What a rule needs to know of a run before its first step.

    Attributes:
        guess: nats a token of a model that gives every token the same chance; None where the size
            of its vocabulary is not known.
        learning_rate: the highest, with what the run does otherwise since it went back.
        usual_rate: what models of that kind are trained with; None where that is not known.
        clip: the greatest length of a gradient, likewise; 0 for any.
        command: that the run was begun with; empty where it was none.
        config: all of its settings, by section and key.
    """

    total_steps: int
    parameters: int
    train_tokens: int
    tokens_per_step: int
    guess: float | None
    learning_rate: float
    usual_rate: float | None
    warmup_steps: int
    clip: float
    on_gpu: bool
    command: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, event: TrainStart, command: tuple[str, ...] = ()) -> Run:
        training: Mapping[str, Any] = event.config.get("training", {})
        rate, clip = event.learning_rate, event.gradient_clip
        return cls(
            total_steps=event.total_steps,
            parameters=event.parameters,
            train_tokens=event.train_tokens,
            tokens_per_step=event.tokens_per_step,
            guess=guessing(event.vocab_size) if event.vocab_size else None,
            learning_rate=float(training.get("learning_rate", 0.0)) if rate is None else rate,
            usual_rate=usual_rate(event.config),
            warmup_steps=min(int(training.get("warmup_steps", 0)), event.total_steps // 10),
            clip=float(training.get("gradient_clip", 1.0)) if clip is None else clip,
            on_gpu=event.device != "cpu",
            command=command,
            config=event.config,
        )

    def again(self, **training: object) -> str:
        """The command for a new run with other values of [training]."""
        return self.again_with({f"training.{key}": value for key, value in training.items()})

    def again_with(self, changes: Mapping[str, object]) -> str:
        """Likewise, by the keys of any section."""
        return rerun_command(self.command, changes)

    @property
    def far_above_usual(self) -> bool:
        """Whether the learning rate is more than ten times what is usual."""
        return self.usual_rate is not None and self.learning_rate > _FAR_OFF * self.usual_rate

    @property
    def far_below_usual(self) -> bool:
        return self.usual_rate is not None and self.learning_rate < self.usual_rate / _FAR_OFF

    @property
    def slowing(self) -> float:
        """The factor against a rate that is too high: a third, or what leads to the usual one from
        far above it."""
        if self.usual_rate is not None and self.far_above_usual:
            return self.usual_rate / self.learning_rate
        return SLOWER

    def slower(self) -> str:
        """What to do against such a rate."""
        rate = self.slowing * self.learning_rate
        return f"a lower learning rate: {self.again(learning_rate=rate)}"

    def faster(self) -> str:
        """Against one that is too low: ten times, or what is usual if it is far below that."""
        usual = self.usual_rate if self.far_below_usual else None
        rate = usual or 10 * self.learning_rate or 1e-3
        return f"a higher learning rate: {self.again(learning_rate=rate)}"


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
