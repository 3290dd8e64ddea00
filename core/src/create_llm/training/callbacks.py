"""Callbacks: observers of a run that may ask for something, but never hold the trainer."""

from __future__ import annotations

import enum
from typing import ClassVar

from create_llm.runs.events import (
    CheckpointSaved,
    EpochEnd,
    EpochStart,
    EvalEnd,
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


class Callback:
    """Override what you need. Called on rank 0 only, in the order of the configuration.

    A callback that raises is dropped with a warning and the run goes on, unless it is `critical`:
    then the run stops. Events are frozen; a method may answer with a `Signal`.

        on_train_start
          on_epoch_start
            on_step_end      every `logging.log_interval` steps: reading the loss makes the
                             device wait (`every_step = True` opts in, at that price)
            on_progress      a few times a second at the most, in evaluations too: how far the
                             run is, without any measure of the model
            on_eval_end, on_sample, on_checkpoint
          on_epoch_end
        on_train_end         always, also after an error or a signal
    """

    critical: ClassVar[bool] = False
    every_step: ClassVar[bool] = False

    def on_train_start(self, event: TrainStart) -> Signal | None: ...
    def on_epoch_start(self, event: EpochStart) -> Signal | None: ...
    def on_step_end(self, event: StepEnd) -> Signal | None: ...
    def on_progress(self, event: ProgressMade) -> Signal | None: ...
    def on_eval_end(self, event: EvalEnd) -> Signal | None: ...
    def on_sample(self, event: SampleGenerated) -> Signal | None: ...
    def on_checkpoint(self, event: CheckpointSaved) -> Signal | None: ...
    def on_warning(self, event: RunWarning) -> Signal | None: ...
    def on_epoch_end(self, event: EpochEnd) -> Signal | None: ...
    def on_train_end(self, event: TrainEnd) -> Signal | None: ...
