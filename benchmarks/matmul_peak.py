"""How fast this machine multiplies 2048 x 2048 matrices with torch: the best of many products.

Prints one JSON object: GFLOP/s by precision.
"""

from __future__ import annotations

import json
import time

import torch

SIDE, PRODUCTS = 2048, 60


def gflops(dtype: torch.dtype) -> float:
    left, right = torch.randn(2, SIDE, SIDE).to(dtype).unbind()
    best = min(_seconds(left, right) for _ in range(PRODUCTS))
    return 2 * SIDE**3 / best / 1e9


def _seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    started = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(json.dumps({"fp32": gflops(torch.float32), "bf16": gflops(torch.bfloat16)}))
