"""What a source rejected, sorted into kinds: the first few of each are told, the rest counted."""

from __future__ import annotations

import re
from dataclasses import dataclass

from create_llm.data.documents import Rejected

TOLD = 3
MOST_KINDS = 2_000
"""Of all files together; what comes after that is only counted, so that memory stays bounded."""

_COLUMN = re.compile(r"'[^']*'(?= (is|are|hold) )")
_PARTICULARS = re.compile(r"'[^']*'|\"[^\"]*\"|0x[0-9a-fA-F]+|\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """Problems of one file that differ in numbers and quoted text alone.

    A column that a problem begins with is no such difference, nor is what to do about it.

    Attributes:
        words: what is the same in all of them, and then what to do.
        first: the first few, in the order of the file.
        count: of all, the first ones among them.
    """

    words: str
    first: tuple[Rejected, ...]
    count: int


def _words(problem: str) -> str:
    column = _COLUMN.match(problem)
    kept = column[0] if column else ""
    return kept + _PARTICULARS.sub("…", problem.removeprefix(kept))


class ProblemCounter:
    """Collects what is rejected."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], ProblemKind] = {}
        self.count = 0

    def add(self, rejected: Rejected) -> None:
        self.count += 1
        words = f"{_words(rejected.problem)}\n{_PARTICULARS.sub('…', rejected.suggestion)}"
        key = (rejected.origin.path, words)
        kind = self._kinds.get(key, ProblemKind(words, (), 0))
        if kind.count == 0 and len(self._kinds) >= MOST_KINDS:
            return
        first = kind.first if len(kind.first) >= TOLD else (*kind.first, rejected)
        self._kinds[key] = ProblemKind(words, first, kind.count + 1)

    def kinds(self) -> tuple[ProblemKind, ...]:
        """In the order of the files, and in a file of the first of each kind."""
        order: dict[str, int] = {}
        for path, _ in self._kinds:
            order.setdefault(path, len(order))
        return tuple(self._kinds[key] for key in sorted(self._kinds, key=lambda key: order[key[0]]))
