"""How fast a device multiplies, and how much of that a run made use of."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from create_llm.models.precision import product_dtype

_SIDE, _ROUNDS, _EACH = 2048, 5, 3
_REHEARSALS, _SLOWER = 3, 1.02
"""Steps that are timed, and by how much real ones, which are logged and saved, take longer."""


def matrix_peak(device: torch.device, precision: str) -> float:
    """Floating-point operations per second in a product of 2048³, the best of several."""
    dtype = product_dtype(precision)
    left, right = (torch.randn(_SIDE, _SIDE, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    seconds = [_seconds(left, right, out) for _ in range(1 + _ROUNDS)]
    return 2 * _SIDE**3 * _EACH / min(seconds)


def steps_until(deadline: float, rehearse: Callable[[], float]) -> int:
    """How many steps fit until then (seconds of `time.monotonic`); at least one.

    Args:
        rehearse: takes a step that leaves no trace; returns its seconds.
    """
    each = statistics.median(rehearse() for _ in range(_REHEARSALS))
    return max(int((deadline - time.monotonic()) / (each * _SLOWER)), 1)


def _seconds(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> float:
    started = time.perf_counter()
    for _ in range(_EACH):
        torch.mm(left, right, out=out)
    out[0, 0].item()  # waits for the device
    return time.perf_counter() - started
