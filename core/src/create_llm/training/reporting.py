"""What a run says about itself while it trains: its events, and the figures behind them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from create_llm.models.evaluation import Scores
from create_llm.runs.events import (
    Doing,
    EpochEnd,
    EpochStart,
    EvalEnd,
    Event,
    ProgressMade,
    StepEnd,
)
from create_llm.training.checkpointing import TrainState
from create_llm.training.epochs import Epochs
from create_llm.training.eta import Eta
from create_llm.training.memory import memory_in_use, memory_of, peak_memory
from create_llm.training.meter import Meter, Reading, total_of
from create_llm.training.schedule import Schedule

_AGAIN_SECONDS = 0.2
"""Between two words of progress: as often as an eye can follow, and no burden to a fast step."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The latest scores; None where nothing was measured."""

    train_loss: float | None = None
    val_loss: float | None = None
    val_perplexity: float | None = None
    val_bits_per_byte: float | None = None


class Reporter:
    """Reads the meter and tells what it says, as events."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        schedule: Schedule,
        eta: Eta,
        epochs: Epochs,
        device: torch.device,
    ) -> None:
        self.figures = Figures()
        self.meter = Meter(device)
        self._emit, self._schedule, self._device = emit, schedule, device
        self._memory = memory_of(device)
        self._eta, self._epochs = eta, epochs
        self._since_log: list[Reading] = []
        self._per_step: float | None = None
        self._doing: Doing | None = None
        self._moved = 0.0
        self._epoch_started = time.perf_counter()

    def read(self, state: TrainState) -> int | None:
        """Bring the sums of the device into the state; this is where the host waits for it.

        Returns:
            The first step whose loss or gradient was not finite, or None.
        """
        reading = self.meter.read()
        if reading.bad_step is not None:
            return reading.bad_step
        state.seconds += reading.seconds
        state.epoch_loss += reading.loss_sum
        state.epoch_tokens += reading.tokens
        self._since_log.append(reading)
        return None

    def begin_epoch(self, state: TrainState) -> None:
        step, done = state.step, self._epochs.done
        if step == 0 or done(step) > done(step - 1):
            self._epoch_started = time.perf_counter()
            self._emit(EpochStart(step=step, epoch=done(step) + 1))

    def end_epoch(self, state: TrainState) -> None:
        """Tell of the epoch that ends with this step, if one does; the meter has been read."""
        epoch = self._epochs.done(state.step - 1) + 1
        self._emit(
            EpochEnd(
                step=state.step,
                epoch=epoch,
                train_loss=state.epoch_loss / max(state.epoch_tokens, 1),
                val_loss=self.figures.val_loss,
                learning_rate=self._schedule.at(state.step - 1),
                seconds=time.perf_counter() - self._epoch_started,
            )
        )
        state.epoch_loss, state.epoch_tokens = 0.0, 0

    def ends_epoch(self, state: TrainState) -> bool:
        return self._epochs.done(state.step) > self._epochs.done(state.step - 1)

    def step(self, state: TrainState) -> None:
        """Tell how training goes since the last time; the meter has been read."""
        reading, step = total_of(self._since_log), state.step
        eta_seconds = self._seconds_left(state)
        self._since_log = []
        self._emit(
            StepEnd(
                step=step,
                loss=reading.loss,
                learning_rate=self._schedule.at(step - 1),
                tokens_per_second=reading.tokens / max(reading.seconds, 1e-9),
                grad_norm=reading.grad_norm,
                eta_seconds=eta_seconds or 0.0,
                epoch=step / self._epochs.steps,
                tokens=state.tokens,
                memory_bytes=memory_in_use(self._device),
                memory_peak_bytes=peak_memory(self._device),
                memory_total_bytes=self._memory,
            )
        )

    def moved(
        self, state: TrainState, doing: Doing, done: int = 0, total: int | None = None
    ) -> None:
        """Tell how far the run is in what it does, unless that was told just now.

        Nothing is read from the device for it.
        """
        now = time.monotonic()
        if doing == self._doing and now - self._moved < _AGAIN_SECONDS:
            return
        self._doing, self._moved = doing, now
        eta_seconds = self._seconds_left(state)
        self._emit(
            ProgressMade(
                step=state.step, doing=doing, done=done, total=total, eta_seconds=eta_seconds
            )
        )

    def _seconds_left(self, state: TrainState) -> float | None:
        """By the speed since the last log: that of the whole run is slow to notice a change."""
        steps = sum(reading.steps for reading in self._since_log)
        if steps:
            self._per_step = sum(reading.seconds for reading in self._since_log) / steps
        if self._per_step is None:
            return None
        return self._eta.seconds_left(state.step, state.looked, self._per_step)

    def scored(self, state: TrainState, scores: Scores, *, best: bool) -> None:
        val = scores.val
        self.figures = Figures(scores.train.loss, val.loss, val.perplexity, val.bits_per_byte)
        self._emit(
            EvalEnd(
                step=state.step,
                train_loss=scores.train.loss,
                val_loss=val.loss,
                val_bits_per_byte=val.bits_per_byte,
                best=best,
            )
        )
