"""What a rule has to say."""

from __future__ import annotations

from dataclasses import dataclass

from create_llm.runs.events import Level
from create_llm.training.callbacks import Overrides


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that goes wrong.

    Attributes:
        rule: which one found it.
        step: when.
        seen: what was measured, with numbers.
        meaning: of that, in plain words.
        actions: two or three things to do.
        began: the last step before the trouble; None where going back does not help.
        remedy: what to do otherwise; None where only a person can tell.
    """

    rule: str
    step: int
    seen: str
    meaning: str
    actions: tuple[str, ...]
    level: Level = "warning"
    began: int | None = None
    remedy: Overrides | None = None

    @property
    def reason(self) -> str:
        """For going back or pausing: it stands in the run's lineage, and tells findings apart."""
        return f"{self.rule.replace('_', ' ')}: {self.seen}"

    @property
    def message(self) -> str:
        return f"{self.seen}. {self.meaning}"

    @property
    def suggestion(self) -> str:
        return "; or ".join(self.actions)
