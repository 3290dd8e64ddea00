"""What keeps a source from being read to its end, and whether it keeps from training."""

from __future__ import annotations

from create_llm.data.check.reading import Counts
from create_llm.data.corpus import Corpus, Side
from create_llm.errors import DataError


class Failures:
    """Why sources could not be read to their ends; the others are read all the same."""

    def __init__(self) -> None:
        self._found: list[tuple[Side, DataError]] = []

    def note(self, side: Side, error: DataError) -> None:
        self._found.append((side, error))

    def decisive(self, corpus: Corpus, counts: Counts) -> DataError | None:
        """The first that stands in the way of training.

        One of several paths of which nothing can be used does not, where the others hold text:
        it is left out as a bad file of a folder is, and its problems are told.
        """
        usable = len(corpus.sources) > 1 and counts.documents > counts.validation
        for side, error in self._found:
            trained_on = side.mixed is None and side.use != "val"
            if not (usable and trained_on and counts.is_all_rejected(side)):
                return error
        return None
