"""How a model's blocks are computed: kept or computed again, as they are or compiled."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn
from torch.utils.checkpoint import checkpoint

_WORTH_TRYING = {"cpu": 1800.0, "cuda": 300.0}
"""Seconds of a run from which a trial of the compiler costs a few per cent of it at most."""
_CACHE = Path("~/.cache/create-llm/compiled")


def recompute(blocks: Sequence[nn.Module]) -> None:
    """Keep only what goes into each block, and compute its inside again in the backward pass.

    Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", 1604.06174. One more
    forward pass; the results are the same.
    """
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


@dataclass(frozen=True, slots=True)
class Compiled:
    """Whether the blocks were compiled, and why or why not."""

    on: bool
    reason: str


def compile_blocks(blocks: Sequence[nn.Module]) -> None:
    """Compile block by block: they are alike, so that one compilation serves all."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(_CACHE.expanduser()))
    for block in blocks:
        block.compile()


def choose_compile(
    wanted: str,
    blocks: Sequence[nn.Module],
    device: str,
    steps: int,
    rehearse: Callable[[], float],
    limit: float | None = None,
) -> Compiled:
    """Compile if it is wanted, or if it pays within the run: then it is tried and measured.

    Args:
        wanted: on, off or auto.
        limit: seconds that the run may take at most.
        rehearse: takes a step that leaves no trace; returns its seconds.
    """
    longest, worth = math.inf if limit is None else limit, _WORTH_TRYING.get(device)
    settled = wanted != "auto" or worth is None or longest < worth
    seconds = math.inf if settled else _steady(rehearse)
    chosen = choice_without_trial(wanted, device, min(steps * seconds, longest))
    if chosen is None:
        return _try(blocks, steps, rehearse, min(seconds, rehearse()))
    if chosen.on:
        compile_blocks(blocks)
    return chosen


def choice_without_trial(wanted: str, device: str, seconds: float) -> Compiled | None:
    """What `choose_compile` does in a run of so many seconds; None: it tries and measures."""
    if wanted == "off":
        return Compiled(False, "the configuration says so")
    if wanted == "on":
        return Compiled(True, "the configuration says so")
    if device not in _WORTH_TRYING:
        return Compiled(False, f"torch's compiler is not used on {device}")
    if seconds < _WORTH_TRYING[device]:
        return Compiled(False, f"{_minutes(seconds)} of training are too short to try it")
    return None


def _try(
    blocks: Sequence[nn.Module], steps: int, rehearse: Callable[[], float], seconds: float
) -> Compiled:
    compile_blocks(blocks)
    started = time.perf_counter()
    try:
        rehearse()
    except RuntimeError as error:  # torch's word for any failure of its compiler
        _as_they_were(blocks)
        return Compiled(False, f"the compiler failed: {str(error).splitlines()[0]}")
    spent = time.perf_counter() - started
    compiled = _steady(rehearse)
    gain = f"a step takes {compiled / seconds:.0%} of the time, after {spent:.0f} s of compiling"
    if steps * (seconds - compiled) > 0:
        return Compiled(True, gain)
    _as_they_were(blocks)
    return Compiled(False, gain)


def _steady(rehearse: Callable[[], float]) -> float:
    return min(rehearse(), rehearse())


def _as_they_were(blocks: Sequence[nn.Module]) -> None:
    for block in blocks:
        block._compiled_call_impl = None


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
