"""The callback `tensorboard`: what a run measures, as points on TensorBoard's curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from create_llm.runs.events import (
    EvalEnd,
    Event,
    SampleGenerated,
    StepEnd,
    TrainEnd,
    TrainStart,
)
from create_llm.runs.metrics import metrics_of
from create_llm.training.callbacks import Callback
from create_llm_tensorboard.config import TensorBoardConfig

if TYPE_CHECKING:
    from create_llm_tensorboard.event_file import EventFile


class TensorBoard(Callback):
    """Writes event files into the run's folder, one for each time the run is started."""

    def __init__(self, config: TensorBoardConfig) -> None:
        self._config = config
        self._file: EventFile | None = None

    def on_train_start(self, event: TrainStart) -> None:
        # Not at module level: where tensorboard cannot be imported, the run loses its curves,
        # not its start.
        from create_llm_tensorboard.event_file import EventFile

        self._file = EventFile(Path(event.folder) / "tensorboard", event.step + 1)

    def on_step_end(self, event: StepEnd) -> None:
        self._scalars(event)

    def on_eval_end(self, event: EvalEnd) -> None:
        self._scalars(event)

    def on_sample(self, event: SampleGenerated) -> None:
        if self._file and self._config.samples:
            self._file.text(event.step, "sample", event.prompt + event.text)

    def on_train_end(self, event: TrainEnd) -> None:
        if self._file:
            self._file.close()

    def _scalars(self, event: Event) -> None:
        if self._file:
            self._file.scalars(event.step, metrics_of(event))
