"""The plan of a real run: what it costs to make is next to nothing, and the summary judges it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from create_llm.runs.report import disk_bytes
from create_llm.training.job import Job
from create_llm.training.memory import peak_memory as peak_so_far
from create_llm.training.plan import (
    Intervals,
    Occasions,
    Pace,
    Plan,
    disk_at_end,
    evaluation_seconds,
    occasions_of,
    peak_memory,
    seconds_of,
)
from create_llm.training.trainer import Trainer


class Rehearsals:
    """Rehearses steps, and remembers how long each took.

    Attributes:
        spent: seconds on all of it, which count as the run's.
    """

    def __init__(self, rehearse: Callable[[], float]) -> None:
        self._rehearse = rehearse
        self._seconds: list[float] = []
        self.spent = 0.0

    def __call__(self) -> float:
        started = time.perf_counter()
        seconds = self._rehearse()
        self.spent += time.perf_counter() - started
        self._seconds.append(seconds)
        return seconds

    def last_two(self) -> list[float]:
        """Of the way in which the run will compute; rehearsed now if nobody wanted it before."""
        while len(self._seconds) < 2:
            self()
        return self._seconds[-2:]


def plan_of_run(job: Job, trainer: Trainer, resident: int, rehearsals: Rehearsals) -> Plan:
    """What a run that is about to begin will take.

    Args:
        resident: bytes of the process before its model was there.
    """
    settings = trainer.settings
    intervals = Intervals(settings.save_interval, settings.eval_interval, settings.sample_interval)
    occasions = occasions_of(settings.total_steps, intervals, trainer.epochs)
    low, high, speed = _time(job, trainer, occasions, rehearsals)
    return Plan(
        peak_memory_bytes=peak_of_run(job, occasions, trainer, resident),
        disk_bytes=disk_bytes(job.data.folder)
        + disk_at_end(job.footprint, occasions, job.config.checkpoints.save_total_limit),
        tokens_per_second=round(speed, 1),
        seconds_low=round(low, 3),
        seconds_high=round(high, 3),
    )


def peak_of_run(job: Job, occasions: Occasions, trainer: Trainer, resident: int) -> int:
    """Bytes of the process at its peak, which may lie behind it."""
    device = trainer.settings.step.device
    beside = peak_memory(job.footprint, occasions, device, job.hardware.available_ram_bytes)
    return max(resident + beside, peak_so_far(device))


def _time(
    job: Job, trainer: Trainer, occasions: Occasions, rehearsals: Rehearsals
) -> tuple[float, float, float]:
    """The least and the most seconds of the run, and tokens per second."""
    steps, epochs = rehearsals.last_two(), trainer.epochs
    windows = len(job.windows(job.data.val_streams))
    pace = Pace(steps, evaluation_seconds(min(steps), epochs.samples_per_step, windows))
    low, high = seconds_of(trainer.settings.total_steps, occasions, pace)
    low, high = low + rehearsals.spent, high + rehearsals.spent
    return low, high, epochs.samples_per_step * job.sequence_length * len(steps) / sum(steps)


def against_actual(
    planned: Mapping[str, Any] | None, summary: Mapping[str, Any], folders: Iterable[Path]
) -> dict[str, Any]:
    """What summary.json says of a run's plan, and of what came of it."""
    keys = ("peak_memory_bytes", "wall_seconds", "tokens_per_second")
    actual = {key: summary[key] for key in keys}
    return {"planned": planned, "actual": {**actual, "disk_bytes": disk_bytes(*folders)}}
