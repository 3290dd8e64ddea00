"""The learning rate over a run: linear warm-up, then cosine decay."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Warm-up and cosine (Loshchilov & Hutter 2016, arXiv 1608.03983) over `total_steps`.

    Attributes:
        peak: the learning rate at the end of the warm-up.
        warmup_steps: asked for; a tenth of the run is the most that is used, since a run shorter
            than its warm-up would never learn at full speed.
        floor_ratio: the last step's learning rate as a share of `peak`.
    """

    peak: float
    warmup_steps: int
    total_steps: int
    floor_ratio: float

    @property
    def warmup(self) -> int:
        return min(self.warmup_steps, self.total_steps // 10)

    def at(self, step: int) -> float:
        """The learning rate of update number `step`, from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        span = max(self.total_steps - 1 - self.warmup, 1)
        progress = min((step - self.warmup) / span, 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.peak * (self.floor_ratio + (1 - self.floor_ratio) * cosine)
