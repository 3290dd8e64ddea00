"""Callbacks: observers of a run that may ask for something, but never hold the trainer."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from create_llm.runs.events import (
    CheckpointSaved,
    Diverged,
    EpochEnd,
    EpochStart,
    EvalEnd,
    Level,
    ProgressMade,
    RunWarning,
    SampleGenerated,
    StepEnd,
    TrainEnd,
    TrainStart,
)


class Signal(enum.Enum):
    """What a callback may ask of the trainer; carried out at the next step boundary."""

    STOP = "stop"
    CHECKPOINT = "checkpoint"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell everyone who listens, as a `RunWarning`; in answer to one it is not heard."""

    message: str
    suggestion: str | None = None
    level: Level = "warning"


@dataclass(frozen=True, slots=True)
class Pause:
    """`Signal.PAUSE` for a reason, which `llm train` and `llm runs show` tell with what to do.

    Attributes:
        reason: in plain words.
        suggestions: what to do about it, one or more; any sequence will do.
    """

    reason: str
    suggestions: Sequence[str] = ()

    def __post_init__(self) -> None:
        given = [self.suggestions] if isinstance(self.suggestions, str) else self.suggestions
        object.__setattr__(self, "suggestions", tuple(given))


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a run does otherwise from here on. Several remedies add up.

    Attributes:
        learning_rate: by what the whole schedule is multiplied.
        gradient_clip: the greatest length of the gradient; None: as it is.
        divided: into how many more parts each micro-batch is divided. A step learns from the same
            samples and takes less memory.
        end_at_best: go back to the best checkpoint, take no more steps, and end as complete.
    """

    learning_rate: float = 1.0
    gradient_clip: float | None = None
    divided: int = 1
    end_at_best: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be a factor above 0, got {self.learning_rate}")
        if self.gradient_clip is not None and not 0 < self.gradient_clip < float("inf"):
            raise ValueError(f"gradient_clip must be above 0, got {self.gradient_clip}")
        if self.divided < 1:
            raise ValueError(f"divided must be 1 or more, got {self.divided}")


@dataclass(frozen=True, slots=True)
class Retry:
    """Leave what the run did last, and go on from a checkpoint with other values.

    Attributes:
        reason: in plain words; it stands in the run's lineage.
        step: of the checkpoint; the newest whole one that is not later is used, 0 is the
            beginning. None: save now, and go on from there.
        from_beginning: what is done otherwise instead, where nothing is left to go back to but the
            beginning, be it that the checkpoints from before that step are kept no longer.
    """

    reason: str
    step: int | None = None
    overrides: Overrides = field(default_factory=Overrides)
    from_beginning: Overrides | None = None


Answer = Signal | Pause | Warn | Retry
Answers = Answer | Sequence[Answer] | None
"""What a method of a callback may return."""


class Callback:
    """Override what you need. Called on rank 0 only, in the order of the configuration.

    A callback that raises is dropped with a warning and the run goes on, unless it is `critical`:
    then the run stops. Events are frozen; a method may answer with a `Signal`, a `Pause`, a `Warn`,
    a `Retry` or a sequence of them.

        on_train_start
          on_epoch_start
            on_step_end      every `logging.log_interval` steps: reading the loss makes the
                             device wait (`every_step = True` opts in, at that price)
            on_progress      a few times a second at the most, in evaluations too: how far the
                             run is, without any measure of the model
            on_eval_end, on_sample, on_checkpoint
          on_epoch_end
        on_diverged          the loss, a gradient or a weight is no number: the run ends, unless
                             a `Retry` is the answer
        on_train_end         always, also after an error or a signal
    """

    critical: ClassVar[bool] = False
    every_step: ClassVar[bool] = False

    def on_train_start(self, event: TrainStart) -> Answers: ...
    def on_epoch_start(self, event: EpochStart) -> Answers: ...
    def on_step_end(self, event: StepEnd) -> Answers: ...
    def on_progress(self, event: ProgressMade) -> Answers: ...
    def on_eval_end(self, event: EvalEnd) -> Answers: ...
    def on_sample(self, event: SampleGenerated) -> Answers: ...
    def on_checkpoint(self, event: CheckpointSaved) -> Answers: ...
    def on_warning(self, event: RunWarning) -> Answers: ...
    def on_diverged(self, event: Diverged) -> Answers: ...
    def on_epoch_end(self, event: EpochEnd) -> Answers: ...
    def on_train_end(self, event: TrainEnd) -> Answers: ...
