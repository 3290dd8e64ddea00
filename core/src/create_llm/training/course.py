"""The course that a run took, for another one that is to become the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from create_llm.training.callbacks import Retry
from create_llm.training.remedies import Remedy
from create_llm.training.stopping import Stop

BY = "recipe"
"""Who ends a session of such a run, in `stopped_by`."""


@dataclass(frozen=True, slots=True)
class Course:
    """What was decided while a run was trained. Whoever follows it decides nothing anew.

    Attributes:
        remedies: oldest first.
        steps: how many it came to.
    """

    remedies: tuple[Remedy, ...]
    steps: int

    def held_from(self, step: int) -> tuple[Remedy, ...]:
        """Those that held for what came after this step, and was not left again."""
        return self.remedies[: self._turns().get(step, 0)]

    def stops(self, held: int, total: int) -> Mapping[int, Stop]:
        """Where a session ends.

        Args:
            held: how many of the remedies hold for it already.
            total: the steps that the run would take.
        """
        end = {self.steps: Stop("completed", BY)} if self.steps < total else {}
        turns = {
            step: Stop("rewound", BY, retry=Retry(self.remedies[number - 1].reason))
            for step, number in self._turns().items()
            if number > held
        }
        return {**end, **turns}

    def _turns(self) -> dict[int, int]:
        """Step → how many remedies hold from there on. Where the run went back behind one of these
        steps, it comes to it with more of them."""
        return {remedy.from_step: number for number, remedy in enumerate(self.remedies, 1)}
