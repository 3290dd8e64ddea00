"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import psutil
import torch
from torch.nn.utils import clip_grads_with_norm_
from torch.optim import Optimizer

from create_llm.errors import DivergedError
from create_llm.models.evaluation import Score
from create_llm.models.objective import Batch
from create_llm.models.precision import autocast
from create_llm.runs.events import (
    CheckpointSaved,
    EpochEnd,
    EpochStart,
    EvalEnd,
    Event,
    SampleGenerated,
    StepEnd,
)
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.training.batches import Batches
from create_llm.training.callbacks import Signal
from create_llm.training.checkpointing import Model, TrainState, write_checkpoint
from create_llm.training.meter import Meter, Reading, total_of, zero_sum
from create_llm.training.optimizers import gradient_norm, step_unless
from create_llm.training.randomness import derive_seed
from create_llm.training.schedule import Schedule
from create_llm.training.stopping import Abandoned, Stop, StopWatch
from create_llm.training.wrapped import WrappedModel
from create_llm.world import World


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """The numbers of the loop; intervals are in steps, batch_size in sequences a rank."""

    total_steps: int
    batch_size: int
    accumulation: int
    gradient_clip: float
    log_interval: int
    eval_interval: int
    save_interval: int
    sample_interval: int
    seed: int
    device: torch.device
    precision: str
    save_on_interrupt: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """The latest losses; None where nothing was measured."""

    train_loss: float | None = None
    val_loss: float | None = None
    val_perplexity: float | None = None
    val_bits_per_byte: float | None = None


class Outside(Protocol):
    """What the loop asks of its surroundings."""

    def emit(self, event: Event) -> set[Signal]:
        """Log an event and tell the callbacks; returns what they ask for."""
        ...

    def score(self, between: Callable[[], None]) -> Score:
        """Evaluate the model on the validation part."""
        ...

    def sample(self, step: int) -> tuple[str, str] | None:
        """A prompt and how the model continues it; None for a model that does not write."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a trainer is put together from."""

    model: Model
    wrapped: WrappedModel
    optimizer: Optimizer
    schedule: Schedule
    batches: Batches
    store: CheckpointStore
    watch: StopWatch
    world: World
    outside: Outside


class Trainer:
    """Trains one model. `run` is the loop; its verbs follow below, in its order.

    To reach further than callbacks do, subclass it and override `train_step`.
    """

    def __init__(self, settings: LoopSettings, parts: Parts, state: TrainState) -> None:
        self.settings = settings
        self.parts = parts
        self.state = state
        self.figures = Figures()
        self._meter = Meter(settings.device)
        self._since_log: list[Reading] = []
        self._since_eval = (0.0, 0)
        self._saved_step: int | None = None
        self._evaluated_step: int | None = None
        self._epoch_started = time.perf_counter()
        self._wall_since = time.perf_counter()

    def restore(self, state: TrainState) -> None:
        """Continue from a checkpoint whose tensors are already in place."""
        self.state = state
        self._saved_step = state.step

    def run(self) -> Stop:
        """Train until the last step, or until somebody asks to stop; returns why it ended."""
        settings, stop = self.settings, self.parts.watch.poll()
        while stop is None and self.state.step < settings.total_steps:
            self._begin_epoch()
            if self.train_step():
                if self._due(settings.log_interval):
                    self._log()
                self._end_epoch()
                if self._due(settings.save_interval):
                    self._save("interval")
                if self._due(settings.eval_interval):
                    self._evaluate()
                if self._due(settings.sample_interval):
                    self._sample()
            if self.parts.watch.take_checkpoint():
                self._save("request")
            stop = self.parts.watch.poll()
        return self._finish(stop)

    def train_step(self) -> bool:
        """One optimizer update; False if a request to stop discarded it half-way.

        The loss is the sum over the counted tokens of all micro-batches and ranks, divided by
        their number, so that (8 × 1) and (1 × 8) are the same step.
        """
        started, settings = time.perf_counter(), self.settings
        micros = [self._micro_batch(index) for index in range(settings.accumulation)]
        count = self.parts.world.sum(sum(batch.count for batch in micros))
        total = zero_sum(settings.device)
        for index, batch in enumerate(micros):
            if self.parts.watch.poll() is not None:
                self.parts.optimizer.zero_grad()
                return False
            torch.manual_seed(derive_seed(settings.seed, "dropout", self._first_sample(index)))
            with autocast(settings.device, settings.precision):
                loss = self.parts.wrapped(batch.to(settings.device)).total
            (loss / max(count, 1)).backward()
            total += loss.detach()
        self._update(total, count, started)
        return True

    def _update(self, loss: torch.Tensor, count: int, started: float) -> None:
        """Clip and update, unless the loss or a gradient is not finite; waits for neither."""
        module, step = self.parts.model.module, self.state.step
        norm = gradient_norm(module)
        bad = ~(torch.isfinite(norm) & torch.isfinite(loss))
        if self.settings.gradient_clip > 0:
            clip_grads_with_norm_(module.parameters(), self.settings.gradient_clip, norm)
        step_unless(self.parts.optimizer, bad.float(), self.parts.schedule.at(step))
        self.parts.optimizer.zero_grad()
        self._meter.add(step, loss, count, norm, bad, time.perf_counter() - started)
        self.state.step += 1
        self.state.tokens += count

    def _micro_batch(self, index: int) -> Batch:
        return self.parts.batches.micro(self._first_sample(index), self.settings.batch_size)

    def _first_sample(self, micro: int) -> int:
        """The global index, over the whole run, of the first sample of this rank's micro-batch."""
        world, size = self.parts.world, self.settings.batch_size
        micros_before = self.state.step * self.settings.accumulation + micro
        return (micros_before * world.size + world.rank) * size

    def _due(self, interval: int) -> bool:
        """Every `interval` steps, and at the last one."""
        return self.state.step % interval == 0 or self.state.step == self.settings.total_steps

    @property
    def _samples_per_step(self) -> int:
        return self.settings.batch_size * self.settings.accumulation * self.parts.world.size

    @property
    def steps_per_epoch(self) -> float:
        return len(self.parts.batches.windows) / self._samples_per_step

    def _epochs_done(self, step: int) -> int:
        return step * self._samples_per_step // len(self.parts.batches.windows)

    def _begin_epoch(self) -> None:
        step = self.state.step
        if step == 0 or self._epochs_done(step) > self._epochs_done(step - 1):
            self._epoch_started = time.perf_counter()
            self.emit(EpochStart(step=step, epoch=self._epochs_done(step) + 1))

    def _end_epoch(self) -> None:
        step = self.state.step
        epoch = self._epochs_done(step - 1) + 1
        if self._epochs_done(step) < epoch:
            return
        self._read_meter()
        self.emit(
            EpochEnd(
                step=step,
                epoch=epoch,
                train_loss=self.state.epoch_loss / max(self.state.epoch_tokens, 1),
                val_loss=self.figures.val_loss,
                learning_rate=self.parts.schedule.at(step - 1),
                seconds=time.perf_counter() - self._epoch_started,
            )
        )
        self.state.epoch_loss, self.state.epoch_tokens = 0.0, 0

    def _log(self) -> None:
        self._read_meter()
        reading, step = total_of(self._since_log), self.state.step
        self._since_log = []
        self.figures = replace(self.figures, train_loss=reading.loss)
        # By the speed since the last reading: that of the whole run is slow to notice a change.
        per_step = reading.seconds / max(reading.steps, 1)
        self.emit(
            StepEnd(
                step=step,
                loss=reading.loss,
                learning_rate=self.parts.schedule.at(step - 1),
                tokens_per_second=reading.tokens / max(reading.seconds, 1e-9),
                grad_norm=reading.grad_norm,
                eta_seconds=per_step * (self.settings.total_steps - step),
                epoch=step / self.steps_per_epoch,
                tokens=self.state.tokens,
                memory_bytes=self._memory_bytes(),
            )
        )

    def _read_meter(self) -> None:
        """Bring the sums of the device into the state; this is where the host waits for it.

        Raises:
            DivergedError: a loss or gradient was not finite; its update never happened.
        """
        reading = self._meter.read()
        if reading.bad_step is not None:
            raise self._diverged(reading.bad_step)
        state = self.state
        state.seconds += reading.seconds
        state.epoch_loss += reading.loss_sum
        state.epoch_tokens += reading.tokens
        loss_sum, tokens = self._since_eval
        self._since_eval = (loss_sum + reading.loss_sum, tokens + reading.tokens)
        self._since_log.append(reading)

    def _diverged(self, step: int) -> DivergedError:
        saved = self._saved_step
        return DivergedError(
            f"the loss or a gradient stopped being a number at step {step + 1}; "
            "that update was not made",
            where=f"last good checkpoint: {self.parts.store.path(saved)}" if saved else None,
            fixes=(
                "learn more slowly: llm train --resume never "
                f"--learning-rate {self.parts.schedule.peak / 3:.2g}",
                "warm up for longer: --set training.warmup_steps=…",
            ),
        )

    def _save(self, reason: str) -> None:
        """Commit a checkpoint, unless this step already has one."""
        step, store = self.state.step, self.parts.store
        if self._saved_step == step or step == 0:
            return
        self._read_meter()
        self.count_wall_seconds()
        started = time.perf_counter()
        self.parts.world.barrier()
        if self.parts.world.rank == 0:
            with store.commit(step) as writer:
                write_checkpoint(writer, self.parts.model, self.parts.optimizer, self.state)
            store.rotate()
        self._saved_step = step
        seconds = time.perf_counter() - started
        self.emit(
            CheckpointSaved(step=step, path=str(store.path(step)), reason=reason, seconds=seconds)
        )

    def _evaluate(self) -> None:
        """Score the validation part. A checkpoint comes first: what follows could fail."""
        if self._evaluated_step == self.state.step:
            return
        self._save("evaluation")
        try:
            score = self.parts.outside.score(self.parts.watch.raise_if_stopped)
        except Abandoned:
            return
        loss_sum, tokens = self._since_eval
        self._since_eval = (0.0, 0)
        self._evaluated_step = self.state.step
        self.figures = replace(
            self.figures,
            val_loss=score.loss,
            val_perplexity=score.perplexity,
            val_bits_per_byte=score.bits_per_byte,
        )
        self.emit(
            EvalEnd(
                step=self.state.step,
                train_loss=loss_sum / tokens if tokens else None,
                val_loss=score.loss,
                val_bits_per_byte=score.bits_per_byte,
                best=self._keep_if_best(score.loss),
            )
        )

    def _keep_if_best(self, val_loss: float) -> bool:
        best = self.state.best_val_loss
        if not math.isfinite(val_loss) or (best is not None and val_loss >= best):
            return False
        self.state.best_val_loss = val_loss
        if self.parts.world.rank == 0:
            self.parts.store.mark("best", self.state.step, {"val_loss": val_loss})
        return True

    def _sample(self) -> None:
        sample = self.parts.outside.sample(self.state.step)
        if sample is not None:
            self.emit(SampleGenerated(step=self.state.step, prompt=sample[0], text=sample[1]))

    def _finish(self, stop: Stop | None) -> Stop:
        """Save what there is; a run that was not cut short is also scored and marked final."""
        stop = stop or Stop("completed", "max_steps")
        if stop.status == "completed":
            self._save("final")
            self._evaluate()
            if self.parts.world.rank == 0:
                self.parts.store.mark("final", self.state.step, {"val_loss": self.figures.val_loss})
        elif self.settings.save_on_interrupt:
            self._save("pause" if stop.status == "paused" else "interrupt")
        return stop

    def count_wall_seconds(self) -> None:
        """Bring `state.wall_seconds` up to now."""
        now = time.perf_counter()
        self.state.wall_seconds += now - self._wall_since
        self._wall_since = now

    def emit(self, event: Event) -> None:
        """Send an event, and remember what is asked for in answer."""
        signals = self.parts.outside.emit(event)
        if Signal.CHECKPOINT in signals:
            self.parts.watch.ask_checkpoint()
        if Signal.PAUSE in signals:
            self.parts.watch.ask(Stop("paused", "callback"))
        if Signal.STOP in signals:
            # Before the first step there is no model that could complete the run.
            status = "completed" if self.state.step else "interrupted"
            self.parts.watch.ask(Stop(status, "callback"))

    def _memory_bytes(self) -> int:
        if self.settings.device.type == "cuda":
            return int(torch.cuda.memory_allocated(self.settings.device))
        return int(psutil.Process().memory_info().rss)
