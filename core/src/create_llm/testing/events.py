"""Events as a run sends them, for the tests of a callback: each with its fields filled in.

    from create_llm.testing.events import step_end, train_end, train_start

    callback.on_train_start(train_start(tmp_path))
    callback.on_step_end(step_end(10, loss=math.nan))
    callback.on_train_end(train_end())

Whatever a test is about is given by name; the rest is a small run that is well, of 20 steps.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from create_llm.runs.events import EvalEnd, StepEnd, TrainEnd, TrainStart

_TOKENS = 2048


def train_start(folder: Path, **changes: Any) -> TrainStart:
    """
    Args:
        folder: the run's, which should be there.
    """
    event = TrainStart(
        step=0,
        run=folder.name,
        folder=str(folder),
        model="gpt",
        parameters=1_012_000,
        total_steps=20,
        steps_per_epoch=10.0,
        tokens_per_step=_TOKENS,
        train_tokens=1_200_000,
        val_tokens=60_000,
        device="cpu",
        precision="fp32",
        optimizer="adamw",
        seed=7,
    )
    return replace(event, **changes)


def step_end(step: int, **changes: Any) -> StepEnd:
    """No figure of a step is the same as another's, so that a test sees one taken for the other."""
    event = StepEnd(
        step=step,
        loss=6.0 / max(step, 1),
        learning_rate=3e-4 * step,
        tokens_per_second=12345.5 + step,
        grad_norm=1.0 / max(step, 1),
        eta_seconds=65.0,
        epoch=step / 10,
        tokens=step * _TOKENS,
        memory_bytes=3_000_000_000 + step,
    )
    return replace(event, **changes)


def eval_end(step: int, **changes: Any) -> EvalEnd:
    event = EvalEnd(step=step, train_loss=5.0, val_loss=5.1, val_bits_per_byte=2.345, best=True)
    return replace(event, **changes)


def train_end(step: int = 20, status: str = "completed", **changes: Any) -> TrainEnd:
    event = TrainEnd(
        step=step,
        status=status,
        stopped_by="max_steps",
        seconds=125.0,
        train_loss=4.0,
        val_loss=4.5,
        val_bits_per_byte=2.134,
        model="models/v1" if status == "completed" else None,
    )
    return replace(event, **changes)
