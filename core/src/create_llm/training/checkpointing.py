"""A trainer's state to and from the files of a checkpoint.

model.safetensors      weights, named as Hugging Face names them: the bundle links to this file
config.json            the architecture, in the same form
optimizer.safetensors  parameter.key → tensor
state.json             counters; everything else follows from the run's seed
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from create_llm.errors import DataError
from create_llm.models.architecture import Architecture
from create_llm.models.bundle import WEIGHTS
from create_llm.models.weights import load_weights
from create_llm.storage.durable import FolderWriter
from create_llm.storage.tensors import load_tensors, tensor_chunks
from create_llm.training.optimizers import load_optimizer_tensors, optimizer_tensors

FORMAT = 1


@dataclass(slots=True)
class TrainState:
    """What a run has done so far; the position in the data follows from `step`.

    Attributes:
        step: optimizer updates completed.
        tokens: counted tokens trained on.
        epoch_loss, epoch_tokens: nats and counted tokens since the epoch began.
        seconds: in training steps, over all sessions.
        wall_seconds: of the whole run, evaluations and checkpoints included, over all sessions.
    """

    step: int = 0
    tokens: int = 0
    epoch_loss: float = 0.0
    epoch_tokens: int = 0
    best_val_loss: float | None = None
    seconds: float = 0.0
    wall_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Model:
    """The model being trained: how it is made, its module, and what it was made with."""

    architecture: Architecture
    module: nn.Module
    config: Any
    vocab_size: int


def write_checkpoint(
    writer: FolderWriter, model: Model, optimizer: Optimizer, state: TrainState
) -> None:
    """Write a checkpoint's files.

    Raises:
        ValueError: a tensor holds a number that is not finite.
    """
    hf_config, tensors = model.architecture.to_hf(
        model.config, model.vocab_size, model.module.state_dict()
    )
    writer.write(WEIGHTS, tensor_chunks(tensors))
    writer.write_json("config.json", hf_config)
    writer.write("optimizer.safetensors", tensor_chunks(optimizer_tensors(optimizer, model.module)))
    writer.write_json("state.json", {"format": FORMAT, **asdict(state)})


def read_checkpoint(folder: Path, model: Model, optimizer: Optimizer) -> TrainState:
    """Restore module and optimizer in place, from a checkpoint that has been verified.

    Raises:
        DataError: the checkpoint is of another format, or does not fit the module.
    """
    stored = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    if stored.pop("format") != FORMAT:
        raise DataError(
            f"{folder} was written by another version of create-llm",
            fixes=("continue with the version that wrote it", "start anew: --resume never"),
        )
    hf_config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    _, _, weights = model.architecture.from_hf(hf_config, load_tensors(folder / WEIGHTS))
    load_weights(model.module, weights, str(folder))
    load_optimizer_tensors(optimizer, model.module, load_tensors(folder / "optimizer.safetensors"))
    return TrainState(**stored)
