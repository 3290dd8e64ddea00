"""The contract of callbacks."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from create_llm.runs.events import (
    CheckpointSaved,
    Diverged,
    EpochEnd,
    EpochStart,
    Event,
    ProgressMade,
    RunWarning,
    SampleGenerated,
    TrainEnd,
    TrainStart,
)
from create_llm.testing.base import PartContract
from create_llm.testing.events import eval_end, step_end, train_end, train_start
from create_llm.training.callbacks import Callback, Pause, Retry, Signal, Warn
from create_llm.training.dispatch import METHODS, Dispatcher, Dropped


class CallbackContract(PartContract):
    """Observers of a run. One that talks to a service overrides `callback` to give it a
    stand-in: tests touch no network."""

    kind = "callbacks"

    def callback(self, root: Path) -> Callback:
        """A new callback, for a run whose files lie below `root`."""
        made: Callback = self.part().load()(self.config())
        return made

    def test_is_a_callback(self, tmp_path: Path) -> None:
        """It subclasses `Callback`, so that it has a handler for every event, those of later
        versions included."""
        callback = self.callback(tmp_path)
        assert isinstance(callback, Callback)
        known = {name for name in dir(Callback) if name.startswith("on_")}
        strange = {name for name in dir(callback) if name.startswith("on_")} - known
        assert not strange, f"no event calls {', '.join(sorted(strange))}"

    def test_survives_every_event(self, tmp_path: Path) -> None:
        """All events of a run, with every optional field there and absent: none raises, and the
        answer is a `Signal`, a `Pause`, a `Warn`, a `Retry`, a sequence of them or None."""
        callback = self.callback(tmp_path)
        for event in _story(tmp_path):
            answer = _tell(callback, event)
            several = answer if isinstance(answer, list | tuple) else (answer,)
            kinds = Signal | Pause | Warn | Retry | None
            known = all(isinstance(one, kinds) for one in several)
            assert known, f"{event.name} answers {answer!r}"

    def test_survives_numbers_that_are_not_finite(self, tmp_path: Path) -> None:
        """A diverging run is when one looks: NaN and infinity are shown, not stumbled over."""
        callback = self.callback(tmp_path)
        for bad in (math.nan, math.inf, -math.inf):
            for event in (_train_start(tmp_path), *_figures(step=3, value=bad)):
                _tell(callback, event)

    def test_survives_a_run_that_ends_at_once(self, tmp_path: Path) -> None:
        """An error before the first step: `on_train_end` follows `on_train_start`."""
        callback = self.callback(tmp_path)
        _tell(callback, _train_start(tmp_path))
        _tell(callback, Diverged(step=0, message="the loss stopped being a number"))
        _tell(callback, _train_end(0, status="failed", error="out of memory"))

    def test_survives_a_failing_peer(self, tmp_path: Path) -> None:
        """When another callback is dropped it hears the warning and goes on to the end."""
        dropped: list[Dropped] = []
        callbacks = [("peer", _Failing()), (self.name, self.callback(tmp_path))]
        dispatcher = Dispatcher(callbacks, dropped.append)
        for event in _story(tmp_path):
            dispatcher.emit(event)
            if dropped and event.name == "train_start":
                dispatcher.emit(RunWarning(step=0, message=f"'{dropped[0].name}' was dropped"))
        errors = [f"{one.method}: {one.error}" for one in dropped if one.name != "peer"]
        assert not errors, f"dropped at {errors[0]}"

    def test_survives_a_resume(self, tmp_path: Path) -> None:
        """A run that was killed sends no end; a new process goes on with it in the same folder."""
        killed = self.callback(tmp_path)
        for event in _story(tmp_path)[:-1]:
            _tell(killed, event)
        resumed = self.callback(tmp_path)
        for event in (_train_start(tmp_path, step=20), *_figures(step=25), _train_end(30)):
            _tell(resumed, event)

    def test_leaves_events_as_they_are(self, tmp_path: Path) -> None:
        """Events are shared: what one callback changes, the others and the log would see."""
        callback, story = self.callback(tmp_path), _story(tmp_path)
        before = copy.deepcopy(story)
        for event in story:
            _tell(callback, event)
        assert story == before

    def test_leaves_the_process_as_it_is(self, tmp_path: Path) -> None:
        """The state of random generators and the working folder belong to the run: what a
        callback changes there changes the model."""
        torch.rand(1), np.random.random(), random.random()  # no state that a seed leads to
        before = _process_state()
        callback = self.callback(tmp_path)
        for event in _story(tmp_path):
            _tell(callback, event)
        changed = [name for name, state in _process_state().items() if state != before[name]]
        assert not changed, f"changed: {', '.join(changed)}"

    def test_keeps_stdout_clean(self, tmp_path: Path) -> None:
        """stdout is for results: with `--json` it holds one object and nothing else."""
        stdout = io.StringIO()
        with contextlib.redirect_stdout(stdout):
            callback = self.callback(tmp_path)
            for event in _story(tmp_path):
                _tell(callback, event)
        assert stdout.getvalue() == ""


class _Failing(Callback):
    def on_train_start(self, event: TrainStart) -> Signal | None:
        raise RuntimeError("on purpose")


def _process_state() -> dict[str, object]:
    return {
        "torch's generator": torch.get_rng_state().tolist(),
        "numpy's generator": str(np.random.get_state()),
        "Python's generator": random.getstate(),
        "the working folder": Path.cwd(),
    }


def _tell(callback: Callback, event: Event) -> object:
    answer: object = getattr(callback, METHODS[event.name])(event)
    return answer


def _story(root: Path) -> list[Event]:
    """A run from start to end in which everything happens."""
    return [
        _train_start(root),
        EpochStart(step=0, epoch=1),
        ProgressMade(step=1, doing="train", done=1, total=30, eta_seconds=None),
        *_figures(step=10),
        ProgressMade(step=10, doing="evaluate", done=8, total=20, eta_seconds=4.5),
        eval_end(10, train_loss=4.5, val_loss=5.0, val_bits_per_byte=None, best=False),
        ProgressMade(step=10, doing="sample", done=0, total=None, eta_seconds=4.5),
        SampleGenerated(step=10, prompt="", text="\x1b[31m[bold]¡olé!\u2028 <b>\x00"),
        RunWarning(step=10, message="the disk is nearly full", suggestion="delete something"),
        RunWarning(step=10, message="[/] %s {0}"),
        EpochEnd(step=20, epoch=1, train_loss=4.5, val_loss=None, learning_rate=1e-3, seconds=2.0),
        *_figures(step=20),
        _train_end(20),
    ]


def _figures(step: int, value: float = 4.5) -> Iterator[Event]:
    yield step_end(step, loss=value, tokens_per_second=value, grad_norm=value, eta_seconds=value)
    yield eval_end(step, train_loss=value, val_loss=value, val_bits_per_byte=value)
    yield SampleGenerated(step=step, prompt="Once upon a time", text=" there was a ship.\n\nEnd.")
    yield CheckpointSaved(step=step, path="checkpoints/run/step", reason="interval", seconds=0.1)
    yield EpochEnd(
        step=step, epoch=1, train_loss=value, val_loss=value, learning_rate=1e-3, seconds=2.0
    )


def _train_start(root: Path, step: int = 0) -> TrainStart:
    """`step` above 0 makes it the start of a resumed session."""
    folder = root / "logs" / "run-1"
    folder.mkdir(parents=True, exist_ok=True)
    config = {"training": {"seed": 1}, "plugins": ["console"]}
    return train_start(folder, step=step, resumed_from=step or None, total_steps=30, config=config)


def _train_end(step: int, status: str = "completed", error: str | None = None) -> TrainEnd:
    value = None if error else 4.5
    scores = {"train_loss": value, "val_loss": value, "val_bits_per_byte": value}
    return train_end(step, status, stopped_by=error or "max_steps", error=error, **scores)
