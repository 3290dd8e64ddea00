"""A short run, told to the callback: by tests, and as a program in a process of its own.

python story.py FOLDER MODE
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from create_llm.runs.events import Event, SampleGenerated
from create_llm.testing.events import eval_end, step_end, train_end, train_start
from create_llm.training.dispatch import Dispatcher, Dropped
from create_llm_wandb.callback import WandB
from create_llm_wandb.config import WandBConfig

CONFIG = {"training": {"batch_size": 4, "optimizer": "adamw"}, "plugins": ["wandb"]}
SAMPLE = "Once <b>upon</b> & a\n  time \N{PILE OF POO}"


def whole_run(folder: Path, status: str = "completed") -> list[Event]:
    return [
        train_start(folder, config=CONFIG),
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
