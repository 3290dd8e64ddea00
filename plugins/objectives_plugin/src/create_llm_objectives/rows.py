"""Rows of different lengths as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Row = NDArray[np.int64] | NDArray[np.int32]


def padded(rows: Sequence[Row], filling: int) -> Tensor:
    """int64 [rows, the longest], with `filling` behind the shorter ones."""
    table = np.full((len(rows), max(map(len, rows))), filling, dtype=np.int64)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return torch.from_numpy(table)


def attention_mask(rows: Sequence[Row]) -> dict[str, Tensor]:
    """Which places of `padded` hold text, for models that also look ahead; empty where all do."""
    lengths = torch.tensor([len(row) for row in rows])
    if lengths.min() == lengths.max():
        return {}
    return {"attention_mask": torch.arange(int(lengths.max()))[None] < lengths[:, None]}
