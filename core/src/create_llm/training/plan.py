"""What a run will take: memory, disk and time, said before it and compared with what it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from create_llm.config.hardware import Needs
from create_llm.config.intervals import Interval
from create_llm.config.training_keys import TrainingConfig
from create_llm.training.epochs import Epochs
from create_llm.training.footprint import Footprint
from create_llm.training.saving import ROOM

_LIBRARIES = 28 << 20
"""What torch's kernels take at their first use, beside the tensors."""

_SCATTERED = 200 << 20
"""The most that a CPU's allocator holds of a step beyond what its tensors have at their peak: what
was freed lies between what is kept, and is not always large enough for what comes next."""

_FORWARD_SHARE = 0.35
"""Of the time that a step takes, the forward pass, which is all that an evaluation makes."""


@dataclass(frozen=True, slots=True)
class Occasions:
    """How often a run stops to do something else than to train.

    Attributes:
        beside: whether training goes on while a checkpoint is written from its copy in memory.
    """

    saves: int
    evaluations: int
    samples: int
    beside: bool


@dataclass(frozen=True, slots=True)
class Intervals:
    """When a run saves, evaluates and samples."""

    save: Interval
    evaluate: Interval
    sample: Interval


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds.

    Attributes:
        steps: what each step of a probe took.
        evaluation, sample: one of them.
        stall: for which a save stops the training.
    """

    steps: Sequence[float]
    evaluation: float = 0.0
    sample: float = 0.0
    stall: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A run's prediction; summary.json keeps it beside what was measured.

    Attributes:
        peak_memory_bytes: the most that the process holds at one time; on a GPU, its tensors.
        disk_bytes: what lies there at the end: tokens, checkpoints, model.
        seconds_low, seconds_high: of training and evaluations.
    """

    peak_memory_bytes: int
    disk_bytes: int
    tokens_per_second: float
    seconds_low: float
    seconds_high: float


_COUNTED = 1_000_000


def occasions_of(steps: int, intervals: Intervals, epochs: Epochs) -> Occasions:
    """How often in a run of so many steps; the last one does all three.

    Counted in the first million of them: whoever asks for more means as many as there is time for.
    """
    if steps > _COUNTED:
        some, share = occasions_of(_COUNTED, intervals, epochs), steps / _COUNTED
        return Occasions(
            saves=round(some.saves * share),
            evaluations=round(some.evaluations * share),
            samples=round(some.samples * share),
            beside=some.beside,
        )
    last = {steps}
    evaluations = _due(intervals.evaluate, steps, epochs) | last
    saves = _due(intervals.save, steps, epochs)
    return Occasions(
        saves=len(saves | evaluations),
        evaluations=len(evaluations),
        samples=len(_due(intervals.sample, steps, epochs) | last),
        beside=not saves <= evaluations,  # an evaluation waits until its checkpoint is durable
    )


def _due(interval: Interval, steps: int, epochs: Epochs) -> set[int]:
    if interval.unit == "steps":
        return set(range(interval.count, steps + 1, interval.count))
    passes = range(interval.count, epochs.done(steps) + 1, interval.count)
    return {-(-done * epochs.samples // epochs.samples_per_step) for done in passes}


def most_saves(training: TrainingConfig) -> int:
    """How many checkpoints a run may write, before its text is known."""
    steps = training.max_steps
    if "epochs" in (training.save_interval.unit, training.eval_interval.unit):
        return steps
    unknown = Epochs(samples=1, samples_per_step=1)
    sample = training.eval_interval
    intervals = Intervals(training.save_interval, training.eval_interval, sample)
    return occasions_of(steps, intervals, unknown).saves


def needs_of(footprint: Footprint, device: torch.device) -> Needs:
    """What a run needs beside the program, without what can be done without."""
    gradients = 4 * footprint.parameters
    most = _held(max(footprint.step, footprint.evaluation), device)
    state = footprint.state + gradients
    return Needs(footprint.parameters, state, max(footprint.state + most - state, 0))


def peak_memory(
    footprint: Footprint, occasions: Occasions, device: torch.device, available: int
) -> int:
    """Bytes at the most, beside what the program takes before its model is there.

    Args:
        available: of the machine's memory, before the run.
    """
    step = _held(footprint.step, device)
    evaluation = _held(footprint.evaluation, device)
    # Until the first step, steps are tried on a copy of the weights.
    beside = footprint.weights
    if device.type == "cpu":
        used = footprint.state + step
        copy = footprint.checkpoint if available - used > ROOM * footprint.checkpoint else 0
        beside = max(beside, copy if occasions.beside else copy - step)
    return _LIBRARIES + footprint.state + max(step + beside, evaluation)


def _held(size: int, device: torch.device) -> int:
    """By the allocator, for tensors that come and go."""
    return size + min(size, _SCATTERED) if device.type == "cpu" else size


def disk_at_end(footprint: Footprint, occasions: Occasions, limit: int) -> int:
    """Bytes of the checkpoints that a run leaves; the model is a second name of the last one.

    The best checkpoint is one more where later ones have taken its place among the newest.
    """
    kept = min(occasions.saves, limit)
    return footprint.checkpoint * (kept + (occasions.saves > limit))


def disk_at_most(footprint: Footprint, saves: int, limit: int) -> int:
    """Bytes while it runs: a checkpoint is written before the oldest gives way."""
    return footprint.checkpoint * (min(saves, limit + 1) + (saves > limit))


def seconds_of(steps: int, occasions: Occasions, pace: Pace) -> tuple[float, float]:
    """The range that the spread of a probe leaves to a whole run."""
    others = (
        occasions.evaluations * pace.evaluation
        + occasions.samples * pace.sample
        + occasions.saves * pace.stall
    )
    return steps * min(pace.steps) + others, steps * max(pace.steps) + others


def evaluation_seconds(step: float, samples_per_step: int, windows: int) -> float:
    """An estimate for a validation part of so many windows, from the time of a step."""
    return _FORWARD_SHARE * step * windows / samples_per_step
