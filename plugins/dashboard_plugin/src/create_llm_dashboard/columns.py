"""Numbers by column, for as many rows as a run has steps: appended to, cut, searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.number]


class Columns:
    """Rows by rising step; an appended row replaces those of its own and of later steps.

    Args:
        types: name → dtype; `step` is one of them. Others are floats, NaN where not measured.
    """

    def __init__(self, types: Mapping[str, str]) -> None:
        self._arrays: dict[str, Array] = {name: np.empty(1024, t) for name, t in types.items()}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, name: str) -> Array:
        """The column as it is now; a view, for reading."""
        return self._arrays[name][: self._rows]

    @property
    def names(self) -> Sequence[str]:
        return list(self._arrays)

    def extend(self, rows: Mapping[str, Sequence[float] | Array]) -> None:
        """Append rows; where steps do not rise within them, the later ones count."""
        steps = np.asarray(rows["step"], np.int64)
        starts = np.flatnonzero(np.diff(steps) <= 0) + 1
        for begin, end in zip([0, *starts], [*starts, len(steps)], strict=True):
            if end > begin:
                self.cut(int(steps[begin]) - 1)
                self._append({name: rows[name][begin:end] for name in self._arrays})

    def cut(self, step: int) -> None:
        """Forget what comes after a step."""
        self._rows = int(np.searchsorted(self["step"], step, side="right"))

    def _append(self, rows: Mapping[str, Sequence[float] | Array]) -> None:
        count = len(rows["step"])
        needed = self._rows + count
        for name, array in self._arrays.items():
            if needed > len(array):
                grown = np.empty(max(needed, 2 * len(array)), array.dtype)
                grown[: self._rows] = array[: self._rows]
                self._arrays[name] = array = grown
            with np.errstate(over="ignore"):  # beyond float32 is infinite
                array[self._rows : needed] = np.asarray(rows[name], array.dtype)
        self._rows = needed
