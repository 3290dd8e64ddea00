"""What a run says about itself while it trains: its events, and the figures behind them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from create_llm.models.evaluation import Scores
from create_llm.runs.events import EpochEnd, EpochStart, EvalEnd, Event, StepEnd
from create_llm.training.checkpointing import TrainState
from create_llm.training.epochs import Epochs
from create_llm.training.memory import memory_in_use
from create_llm.training.meter import Meter, Reading, total_of
from create_llm.training.schedule import Schedule


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
        epochs: Epochs,
        total_steps: int,
        device: torch.device,
    ) -> None:
        self.figures = Figures()
        self.meter = Meter(device)
        self._emit, self._schedule, self._epochs = emit, schedule, epochs
        self._total_steps, self._device = total_steps, device
        self._since_log: list[Reading] = []
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
        self._since_log = []
        # By the speed since the last reading: that of the whole run is slow to notice a change.
        per_step = reading.seconds / max(reading.steps, 1)
        self._emit(
            StepEnd(
                step=step,
                loss=reading.loss,
                learning_rate=self._schedule.at(step - 1),
                tokens_per_second=reading.tokens / max(reading.seconds, 1e-9),
                grad_norm=reading.grad_norm,
                eta_seconds=per_step * (self._total_steps - step),
                epoch=step / self._epochs.steps,
                tokens=state.tokens,
                memory_bytes=memory_in_use(self._device),
            )
        )

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
