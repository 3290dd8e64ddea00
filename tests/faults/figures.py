"""The outcome of a section: how many trials of what, and each that went wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """What one section reports.

    Attributes:
        name: of the section.
        numbers: figure → value, in the order of the table.
        wrong: trial → what was wrong, each enough to repeat it.
    """

    name: str
    numbers: dict[str, int | float | str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def judge(self, trial: str, violations: list[str]) -> None:
        """Count a trial and keep what was wrong with it."""
        self.counts["trials"] += 1
        if violations:
            self.counts["trials gone wrong"] += 1
            self.wrong.append(f"{trial}: {'; '.join(violations)}")

    def closed(self) -> Figures:
        """With the counts among the numbers."""
        self.numbers = {
            "trials": self.counts.pop("trials", 0),
            "wrong": self.counts.pop("trials gone wrong", 0),
            **self.numbers,
            **self.counts,
        }
        return self
