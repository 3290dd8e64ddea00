"""A short run, told to the callback: by tests, and as a program in a process of its own.

python story.py FOLDER MODE
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from create_llm.runs.events import (
    EvalEnd,
    Event,
    SampleGenerated,
    StepEnd,
    TrainEnd,
    TrainStart,
)
from create_llm.training.dispatch import Dispatcher, Dropped
from create_llm_wandb.callback import WandB
from create_llm_wandb.config import WandBConfig

CONFIG = {"training": {"batch_size": 4, "optimizer": "adamw"}, "plugins": ["wandb"]}
SAMPLE = "Once <b>upon</b> & a\n  time \N{PILE OF POO}"


def train_start(folder: Path, **changes: Any) -> TrainStart:
    fields: dict[str, Any] = {
        "step": 0,
        "run": folder.name,
        "folder": str(folder),
        "model": "gpt",
        "parameters": 1_012_000,
        "total_steps": 20,
        "steps_per_epoch": 10.0,
        "tokens_per_step": 2048,
        "train_tokens": 1_200_000,
        "val_tokens": 60_000,
        "device": "cpu",
        "precision": "fp32",
        "optimizer": "adamw",
        "seed": 7,
        "config": CONFIG,
    }
    return TrainStart(**(fields | changes))


def step_end(step: int, **changes: Any) -> StepEnd:
    fields: dict[str, Any] = {
        "loss": 6.0 / step,
        "learning_rate": 3e-4 * step,
        "tokens_per_second": 12345.5 + step,
        "grad_norm": 1.0 / step,
        "eta_seconds": 65.0,
        "epoch": step / 10,
        "tokens": step * 2048,
        "memory_bytes": 3_000_000_000 + step,
    }
    return StepEnd(step=step, **(fields | changes))


def eval_end(step: int, **changes: Any) -> EvalEnd:
    fields: dict[str, Any] = {
        "train_loss": 5.0,
        "val_loss": 5.1,
        "val_bits_per_byte": 2.345,
        "best": True,
    }
    return EvalEnd(step=step, **(fields | changes))


def train_end(step: int = 20, status: str = "completed") -> TrainEnd:
    return TrainEnd(
        step=step,
        status=status,
        stopped_by="max_steps",
        seconds=125.0,
        train_loss=4.0,
        val_loss=4.5,
        val_bits_per_byte=2.134,
    )


def whole_run(folder: Path, status: str = "completed") -> list[Event]:
    return [
        train_start(folder),
        step_end(10),
        eval_end(10),
        SampleGenerated(step=10, prompt=SAMPLE[:4], text=SAMPLE[4:]),
        step_end(20),
        eval_end(20, val_loss=4.9, val_bits_per_byte=None),
        train_end(20, status),
    ]


def play(events: list[Event], **config: Any) -> list[Dropped]:
    """Tell the callback of the events; returns its failure, if it failed."""
    dropped: list[Dropped] = []
    dispatcher = Dispatcher([("wandb", WandB(WandBConfig(**config)))], dropped.append)
    for event in events:
        assert dispatcher.emit(event) == set()
    return dropped


if __name__ == "__main__":
    assert not {"wandb", "torch"} & set(sys.modules)
    assert play(whole_run(Path(sys.argv[1])), mode=sys.argv[2]) == []
