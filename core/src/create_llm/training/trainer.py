"""The training loop."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

import torch

from create_llm.config.intervals import Interval
from create_llm.errors import DivergedError, MemoryExhausted
from create_llm.runs.events import Diverged, Event, SampleGenerated
from create_llm.training import words
from create_llm.training.checkpointing import TrainState
from create_llm.training.epochs import Epochs
from create_llm.training.eta import Eta, Pause
from create_llm.training.keeping import Keeper
from create_llm.training.parts import LoopSettings, Parts
from create_llm.training.reporting import Reporter
from create_llm.training.step import OutOfMemory, TrainStep
from create_llm.training.stopping import Abandoned, Stop


class Trainer:
    """Trains one model. `run` is the loop; its verbs follow below, in its order.

    To reach further than callbacks do, subclass it and override `train_step`.
    """

    def __init__(self, settings: LoopSettings, parts: Parts, state: TrainState) -> None:
        self.settings = settings
        self.parts = parts
        self.state = state
        size = settings.step.batch_size * settings.step.accumulation * parts.world.size
        self.epochs = Epochs(len(parts.batches.windows), size)
        self.step = TrainStep(settings.step, parts)
        self.eta = Eta(settings.total_steps, self.epochs, settings.intervals())
        self.reporter = Reporter(
            self.emit, parts.schedule, self.eta, self.epochs, settings.step.device
        )
        self._keeper = Keeper(parts, self.emit)
        self._evaluated_step: int | None = None
        self._wall_since = time.perf_counter()

    def run(self) -> Stop:
        """Train until the last step, or until somebody asks to stop; returns why it ended."""
        try:
            return self._finish(self._steps())
        except DivergedError as error:
            return self._rewound(error)

    def _steps(self) -> Stop | None:
        settings, stop = self.settings, self.parts.watch.poll() or self._at_best()
        stop = stop or self._followed()
        if stop is None and self.state.looked < self.state.step:
            self._look()
            stop = self.parts.watch.poll()
        while stop is None and self.state.step < settings.total_steps:
            self.reporter.begin_epoch(self.state)
            if self.train_step():
                self._log()
                if not self.parts.watch.going_back:
                    if self._due(settings.save_interval):
                        self._save("interval")
                    self._look()
            self._keeper.tell()
            if self.parts.watch.take_checkpoint():
                self._save("request")
            stop = self.parts.watch.poll() or self._followed() or self._out_of_time()
        return stop

    def _at_best(self) -> Stop | None:
        return Stop("completed", "early_stop") if self.settings.at_best else None

    def _followed(self) -> Stop | None:
        return self.settings.followed.get(self.state.step)

    def _out_of_time(self) -> Stop | None:
        deadline = self.settings.deadline
        late = deadline is not None and time.monotonic() >= deadline
        return Stop("completed", "max_seconds") if late else None

    def train_step(self) -> bool:
        """One optimizer update; False if a request to stop discarded it half-way.

        Out of memory, the same step is made of smaller micro-batches, and all later ones too.

        Raises:
            MemoryExhausted: a micro-batch of one sequence does not fit either, or an update, which
                cannot be repeated.
        """
        while True:
            started = time.perf_counter()
            try:
                taken = self.step.take(self.state.step, self._stopped)
            except OutOfMemory as error:
                self._make_room(error)
                continue
            if taken is None:
                return False
            self.reporter.meter.add(self.state.step, taken, time.perf_counter() - started)
            self.state.step += 1
            self.state.tokens += taken.count
            return True

    def rehearse(self) -> float:
        """The seconds of a step, before the first one; it leaves no trace but smaller
        micro-batches where memory ran out.

        Raises:
            MemoryExhausted: as `train_step`.
            Abandoned: the run has been asked to stop.
        """
        while True:
            try:
                return self.step.rehearse(self._stopped)
            except OutOfMemory as error:
                self._make_room(error)

    def _stopped(self) -> bool:
        return self.parts.watch.poll() is not None

    def _make_room(self, error: OutOfMemory) -> None:
        """Halve the micro-batches of this step and of all that follow."""
        if not error.repeatable:
            raise self._exhausted("the optimizer's update") from error
        if self.settings.step.device.type == "cuda":
            torch.cuda.empty_cache()
        batch_size = self.settings.step.batch_size
        if self.step.divided >= batch_size:
            raise self._exhausted("a micro-batch of one sequence")
        self.step.divided *= 2
        self.parts.outside.keep("divided", self.step.divided)
        self.emit(words.smaller_batches(self.state.step, self.settings.step, self.step.divided))

    def _exhausted(self, what: str) -> MemoryExhausted:
        length = self.parts.batches.windows.size
        return words.exhausted(self.state.step + 1, what, length, self._keeper.last_good())

    def _due(self, interval: Interval) -> bool:
        """Every `interval`, and at the last step."""
        step = self.state.step
        return interval.due(step, self.epochs.done) or step == self.settings.total_steps

    def _log(self) -> None:
        """Every `log_interval` steps; a CPU, which never lags behind, is read at each step."""
        last = self.state.step == self.settings.total_steps
        due = self.state.step % self.settings.log_interval == 0 or last
        if due or self.settings.step.device.type == "cpu":
            self._read_meter()
        if due:
            self.reporter.step(self.state)
        self.reporter.moved(self.state, "train", self.state.step, self.settings.total_steps)

    def _read_meter(self) -> None:
        """
        Raises:
            DivergedError: a loss or gradient was not finite; its update never happened.
        """
        bad_step = self.reporter.read(self.state)
        if bad_step is not None:
            raise self._diverged(bad_step)

    def _diverged(self, step: int) -> DivergedError:
        batches, numbers = self.parts.batches, self.step.samples(step)
        windows = [batches.order.index(n) for micro in numbers for n in micro]
        self.parts.outside.keep("diverged", {"step": step + 1, "windows": windows})
        rate, command = self.parts.schedule.peak, self.settings.command
        return words.diverged(step + 1, windows, rate, self._keeper.last_good(), command)

    def _rewound(self, error: DivergedError) -> Stop:
        """Whether a callback knows how to go on; else the run ends here."""
        self.emit(Diverged(step=self.state.step, message=error.what))
        stop = self.parts.watch.poll()
        if stop is None or stop.retry is None:
            raise error
        return stop

    def _save(self, reason: str) -> None:
        """Begin to write a checkpoint, unless this step already has one."""
        step = self.state.step
        if self._keeper.saved_step == step or step == 0:
            return
        with self._pause("save"):
            self.count_wall_seconds()
            self._keeper.save(self.state, self.step.scale, reason)

    @contextlib.contextmanager
    def _pause(self, kind: Pause) -> Iterator[None]:
        """Measure what is no step, from when the device has finished those it was given."""
        self._read_meter()
        with self.eta.timed(kind):
            yield

    def _look(self) -> None:
        """Whatever follows a step and its checkpoint: score, sample, end of the epoch. Cut short,
        it is made up for when the run goes on from that checkpoint."""
        try:
            if self._due(self.settings.eval_interval):
                self._evaluate()
            if self._due(self.settings.sample_interval):
                self._sample()
        except Abandoned:
            return
        self._end_epoch()
        self.state.looked = self.state.step
        if self._keeper.saved_step == self.state.step:  # without a word of this
            self.parts.outside.keep("looked", self.state.step)

    def _evaluate(self) -> None:
        """Score the validation part. A checkpoint comes first: what follows could fail.

        Raises:
            Abandoned: the run has been asked to stop.
        """
        if self._evaluated_step == self.state.step:
            return
        with self._pause("evaluate"):
            self._save("evaluation")
            self._keeper.tell(wait=True)
            scores = self.parts.outside.score(self._scoring)
        self._evaluated_step = self.state.step
        best = self._keep_if_best(scores.val.loss)
        self.reporter.scored(self.state, scores, best=best)

    def _scoring(self, done: int, total: int) -> None:
        self.reporter.moved(self.state, "evaluate", done, total)
        self.parts.watch.raise_if_stopped()

    def _keep_if_best(self, val_loss: float) -> bool:
        best = self.state.best_val_loss
        if not math.isfinite(val_loss) or (best is not None and val_loss >= best):
            return False
        self.state.best_val_loss = val_loss
        self._keeper.mark("best", self.state.step, {"val_loss": val_loss})
        return True

    def _sample(self) -> None:
        with self._pause("sample"):
            self.reporter.moved(self.state, "sample")
            sample = self.parts.outside.sample(self.state.step, self.parts.watch.raise_if_stopped)
        if sample is not None:
            self.emit(SampleGenerated(step=self.state.step, prompt=sample[0], text=sample[1]))

    def _end_epoch(self) -> None:
        if self.reporter.ends_epoch(self.state):
            self._read_meter()
            self.reporter.end_epoch(self.state)

    def _finish(self, stop: Stop | None) -> Stop:
        """Save what there is; a run that was not cut short is also scored and marked final."""
        if stop is None or stop.status == "completed":
            self._save("final")
            with contextlib.suppress(Abandoned):
                self._evaluate()
            # Asked to stop during the score: the next start makes up for it.
            stop = self.parts.watch.poll() or stop or Stop("completed", self.settings.set_by)
        if stop.status == "completed":
            self._keeper.tell(wait=True)
            why = {"val_loss": self.reporter.figures.val_loss}
            self._keeper.mark("final", self.state.step, why)
        elif stop.retry is not None:
            if stop.retry.step is None:
                self._save("remedy")
        elif self.parts.watch.going_back:
            pass  # the next start goes on before what is to be left, and meets it again
        elif self.settings.save_on_interrupt or stop.status == "paused":
            self._save("pause" if stop.status == "paused" else "interrupt")
        self._keeper.tell(wait=True)
        return stop

    def restore(self, state: TrainState, looked: int) -> None:
        """Continue from a checkpoint whose tensors are already in place.

        Args:
            looked: the last step whose checkpoint does not know yet that what followed it was not
                cut short.
        """
        self.state = state
        self._keeper.saved_step = state.step
        state.looked = max(state.looked, looked)
        if state.looked >= state.step and self.reporter.ends_epoch(state):
            state.epoch_loss, state.epoch_tokens = 0.0, 0

    def close(self) -> None:
        """End the threads; what is being written comes to its end first."""
        self._keeper.close()
        self.step.close()

    def count_wall_seconds(self) -> None:
        """Bring `state.wall_seconds` up to now."""
        now = time.perf_counter()
        self.state.wall_seconds += now - self._wall_since
        self._wall_since = now

    def emit(self, event: Event) -> None:
        """Send an event, and remember what is asked for in answer."""
        self.parts.watch.hear(self.parts.outside.emit(event), self.state.step)
