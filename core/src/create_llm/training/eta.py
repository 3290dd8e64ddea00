"""How long a run still takes: its steps, and what it stops for between them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Literal

from create_llm.config.intervals import Interval
from create_llm.training.epochs import Epochs

Pause = Literal["save", "evaluate", "sample"]


class Eta:
    """Steps count by their latest speed, pauses by the mean of those there have been.

    A kind of pause that has not happened yet counts nothing: how long it takes is not known.

    Args:
        intervals: of each kind of pause; the last step has all of them.
    """

    def __init__(
        self, total_steps: int, epochs: Epochs, intervals: Mapping[Pause, Interval]
    ) -> None:
        self._total, self._epochs, self._intervals = total_steps, epochs, intervals
        self._taken: dict[Pause, list[float]] = {kind: [] for kind in intervals}

    @contextlib.contextmanager
    def timed(self, kind: Pause) -> Iterator[None]:
        """Measure a pause; one that is cut short says nothing of the others."""
        started = time.perf_counter()
        yield
        self.took(kind, time.perf_counter() - started)

    def took(self, kind: Pause, seconds: float) -> None:
        self._taken[kind].append(seconds)

    def seconds_left(self, step: int, looked: int, per_step: float) -> float:
        """
        Args:
            step: completed.
            looked: the last step whose pauses are over.
            per_step: seconds.
        """
        pauses = sum(
            sum(taken) / len(taken) * self._left(self._intervals[kind], looked)
            for kind, taken in self._taken.items()
            if taken
        )
        return per_step * (self._total - step) + pauses

    def _left(self, interval: Interval, looked: int) -> int:
        """How often it is due after that step."""
        last = looked < self._total and not interval.due(self._total, self._epochs.done)
        return self._due(interval, self._total) - self._due(interval, looked) + last

    def _due(self, interval: Interval, step: int) -> int:
        """How often it is due up to a step."""
        done = step if interval.unit == "steps" else self._epochs.done(step)
        return done // interval.count
