"""Sums of the loss that stay on the device until somebody reads them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from create_llm.training.step import Taken, zero_sum


@dataclass(frozen=True, slots=True)
class Reading:
    """What was summed since the last reading.

    Attributes:
        loss_sum: nats.
        steps: training steps.
        tokens: counted tokens.
        seconds: spent in training steps.
        bad_step: the first step whose loss or gradient was not finite, or None.
    """

    loss_sum: float
    steps: int
    tokens: int
    seconds: float
    grad_norm: float
    bad_step: int | None

    @property
    def loss(self) -> float:
        """Mean nats per counted token."""
        return self.loss_sum / max(self.tokens, 1)


def total_of(readings: Sequence[Reading]) -> Reading:
    """Several readings as one; the gradient norm is the last one's."""
    return Reading(
        loss_sum=sum(reading.loss_sum for reading in readings),
        steps=sum(reading.steps for reading in readings),
        tokens=sum(reading.tokens for reading in readings),
        seconds=sum(reading.seconds for reading in readings),
        grad_norm=readings[-1].grad_norm,
        bad_step=None,
    )


class Meter:
    """Adding costs no synchronisation; `read` waits for the device."""

    def __init__(self, device: torch.device) -> None:
        self._loss_sum = zero_sum(device)
        self._bad_step = torch.full((), -1, dtype=torch.int64, device=device)
        self._grad_norm = torch.zeros((), device=device)
        self._steps = self._tokens = 0
        self._seconds = 0.0

    def add(self, step: int, taken: Taken, seconds: float) -> None:
        """Count step number `step`, which took so long on the host."""
        self._loss_sum += taken.loss
        self._bad_step.masked_fill_(taken.lost & (self._bad_step < 0), step)
        self._grad_norm = taken.norm
        self._steps += 1
        self._tokens += taken.count
        self._seconds += seconds

    def read(self) -> Reading:
        """Return the sums and start new ones."""
        started = time.perf_counter()
        bad_step = int(self._bad_step)
        loss_sum, grad_norm = float(self._loss_sum), float(self._grad_norm)
        seconds = self._seconds + time.perf_counter() - started
        reading = Reading(
            loss_sum=loss_sum,
            steps=self._steps,
            tokens=self._tokens,
            seconds=seconds,
            grad_norm=grad_norm,
            bad_step=bad_step if bad_step >= 0 else None,
        )
        self._loss_sum.zero_()
        self._steps, self._tokens, self._seconds = 0, 0, 0.0
        return reading
