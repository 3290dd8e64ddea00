"""The learning rate over a run: linear warm-up, then a fall to the floor."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rate of every update of a run of `total_steps`.

    Attributes:
        peak: the learning rate at the end of the warm-up.
        warmup_steps: asked for; a tenth of the run is the most that is used, since a run shorter
            than its warm-up would never learn at full speed.
        floor_ratio: the last step's learning rate as a share of `peak`.
        shape: "cosine" falls from the warm-up to the end (Loshchilov & Hutter 2016, 1608.03983);
            "wsd" stays at the peak and falls in a straight line at the end (warm-up, stable,
            decay: Hu et al. 2024, 2404.06395).
        decay_ratio: the share of all steps in which "wsd" falls.
    """

    peak: float
    warmup_steps: int
    total_steps: int
    floor_ratio: float
    shape: str = "cosine"
    decay_ratio: float = 0.2

    @property
    def warmup(self) -> int:
        return min(self.warmup_steps, self.total_steps // 10)

    def at(self, step: int) -> float:
        """The learning rate of update number `step`, from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        height = self._cosine(step) if self.shape == "cosine" else self._stable_then_decay(step)
        return self.peak * (self.floor_ratio + (1 - self.floor_ratio) * height)

    def _cosine(self, step: int) -> float:
        span = max(self.total_steps - 1 - self.warmup, 1)
        progress = min((step - self.warmup) / span, 1.0)
        return 0.5 * (1 + math.cos(math.pi * progress))

    def _stable_then_decay(self, step: int) -> float:
        falling = max(round(self.decay_ratio * self.total_steps), 1)
        return min(max(self.total_steps - 1 - step, 0) / falling, 1.0)
