"""Where the passes over the text begin and end, in steps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epochs:
    """An epoch is one pass over the training samples; a step may end one in its middle."""

    samples: int
    samples_per_step: int

    @property
    def steps(self) -> float:
        """How many steps an epoch takes."""
        return self.samples / self.samples_per_step

    def done(self, step: int) -> int:
        """Whole epochs after so many steps."""
        return step * self.samples_per_step // self.samples
