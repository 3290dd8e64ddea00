"""One step of training: the gradients of all its micro-batches, then one update."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn.utils import clip_grads_with_norm_

from create_llm.errors import is_out_of_memory
from create_llm.models.objective import Batch
from create_llm.models.precision import autocast
from create_llm.training.batches import Batches, Prefetcher, divided
from create_llm.training.checkpointing import Model
from create_llm.training.loss_scale import LossScale
from create_llm.training.optimizers import Updates, gradient_norm
from create_llm.training.randomness import derive_seed
from create_llm.training.schedule import Schedule
from create_llm.training.stopping import Abandoned
from create_llm.training.wrapped import WrappedModel
from create_llm.world import World

_REHEARSED = 4
"""Micro-batches of a rehearsal, at most."""


@dataclass(frozen=True, slots=True)
class StepSettings:
    """batch_size in sequences a rank.

    Attributes:
        gradient_clip: the greatest length of the gradient; 0 for any.
        divided: into how many each micro-batch is divided, so that it fits into memory.
    """

    batch_size: int
    accumulation: int
    gradient_clip: float
    seed: int
    device: torch.device
    precision: str
    divided: int = 1


@dataclass(frozen=True, slots=True)
class Taken:
    """What a step measured, still on the device.

    Attributes:
        loss: fp64, nats summed over `count` tokens of all ranks.
        norm: of the gradient, before clipping.
        lost: bool; the loss or a gradient was not finite, and the update was not made.
    """

    loss: torch.Tensor
    count: int
    norm: torch.Tensor
    lost: torch.Tensor


class OutOfMemory(Exception):
    """A step did not fit; `repeatable` unless the weights may have changed already."""

    def __init__(self, *, repeatable: bool) -> None:
        super().__init__()
        self.repeatable = repeatable


class StepParts(Protocol):
    """What a step works with."""

    @property
    def model(self) -> Model: ...
    @property
    def wrapped(self) -> WrappedModel: ...
    @property
    def updates(self) -> Updates: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def batches(self) -> Batches: ...
    @property
    def world(self) -> World: ...


class TrainStep:
    """Takes the steps of a run; which samples a step learns from follows from its number."""

    def __init__(self, settings: StepSettings, parts: StepParts) -> None:
        self.settings = settings
        self.divided = settings.divided
        self.scale = _loss_scale(settings)
        self._parts = parts
        self._prefetcher = Prefetcher(parts.batches)

    def take(self, step: int, stopped: Callable[[], bool], most: int | None = None) -> Taken | None:
        """Step number `step`, from 0; None if `stopped` said so between two micro-batches.

        `most` limits the micro-batches; without it all are taken.

        The loss is the sum over the counted tokens of all micro-batches and ranks, divided by
        their number, so that (8 × 1) and (1 × 8) are the same step.

        Raises:
            OutOfMemory: no gradients are left behind.
        """
        try:
            return self._take(step, stopped, most)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Raised here, where nothing holds the tensors of what failed any more.
        self._parts.updates.zero_grad()
        raise OutOfMemory(repeatable=True)

    def rehearse(self, stopped: Callable[[], bool] = lambda: False) -> float:
        """The seconds of a step, before the first one: two are taken, and then undone.

        The first of them also makes the optimizer's state. Of a step of many micro-batches a few
        are taken: the others last as long.

        Raises:
            OutOfMemory: the weights are as before.
            Abandoned: `stopped` said so.
        """
        module, updates = self._parts.model.module, self._parts.updates
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        try:
            self._wait_for(0, stopped)
            started = time.perf_counter()
            self._wait_for(1, stopped)
            share = len(self.samples(1)) / len(self.samples(1)[:_REHEARSED])
            return (time.perf_counter() - started) * share
        finally:
            module.load_state_dict(before)
            updates.forget()
            self.scale = _loss_scale(self.settings)

    def _wait_for(self, step: int, stopped: Callable[[], bool]) -> None:
        taken = self.take(step, stopped, _REHEARSED)
        if taken is None:
            raise Abandoned
        taken.loss.item()

    def samples(self, step: int) -> list[range]:
        """Of each micro-batch of this rank, by their number in the whole run."""
        world, size, each = self._parts.world, self.settings.batch_size, self.settings.accumulation
        firsts = (((step * each + micro) * world.size + world.rank) * size for micro in range(each))
        return [part for n in firsts for part in divided(range(n, n + size), self.divided)]

    def close(self) -> None:
        self._prefetcher.close()

    def _take(self, step: int, stopped: Callable[[], bool], most: int | None) -> Taken | None:
        samples = self.samples(step)[:most]
        micros = self._prefetcher.step(samples, self.samples(step + 1)[:most], stopped)
        if micros is None:
            return None
        count = self._parts.world.sum(sum(batch.count for batch in micros))
        total = zero_sum(self.settings.device)
        for numbers, batch in zip(samples, micros, strict=True):
            if stopped():
                self._parts.updates.zero_grad()
                return None
            torch.manual_seed(derive_seed(self.settings.seed, "dropout", numbers.start))
            total += self._backward(batch, count)
        return self._update(step, total, count)

    def _backward(self, batch: Batch, count: int) -> torch.Tensor:
        """Add a micro-batch's gradients; returns its loss, summed in nats."""
        with autocast(self.settings.device, self.settings.precision):
            loss = self._parts.wrapped(batch.to(self.settings.device)).total
        share = loss / max(count, 1)
        (share if self.scale is None else self.scale.scaled(share)).backward()
        detached: torch.Tensor = loss.detach()
        return detached

    def _update(self, step: int, loss: torch.Tensor, count: int) -> Taken:
        """Clip and update, unless the loss or a gradient is not finite; waits for neither."""
        module = self._parts.model.module
        if self.scale is not None:
            self.scale.unscale(module)
        norm = gradient_norm(module)
        skip = ~(torch.isfinite(norm) & torch.isfinite(loss))
        if self.settings.gradient_clip > 0:
            clip_grads_with_norm_(module.parameters(), self.settings.gradient_clip, norm)
        self._step_unless(skip, self._parts.schedule.at(step))
        self._parts.updates.zero_grad()
        if self.scale is not None:  # gradients overflow now and then: it is adjusted by that
            skip = self.scale.update(skip) | ~torch.isfinite(loss)
        return Taken(loss, count, norm, skip)

    def _step_unless(self, skip: torch.Tensor, learning_rate: float) -> None:
        try:
            self._parts.updates.step_unless(skip, learning_rate)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(repeatable=False) from error


def zero_sum(device: torch.device) -> torch.Tensor:
    """A scalar to add losses to: fp64, but fp32 on Apple's GPUs, which have no fp64."""
    dtype = torch.float32 if device.type == "mps" else torch.float64
    return torch.zeros((), dtype=dtype, device=device)


def _loss_scale(settings: StepSettings) -> LossScale | None:
    return LossScale(settings.device) if settings.precision == "fp16" else None
