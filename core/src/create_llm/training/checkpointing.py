"""A trainer's state to and from the files of a checkpoint.

model.safetensors      weights, named as Hugging Face names them: the bundle links to this file
config.json            the architecture, in the same form
optimizer.safetensors  parameter.key → tensor
state.json             counters; everything else follows from the run's seed
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from create_llm.errors import DataError
from create_llm.models.architecture import Architecture, HFConfig
from create_llm.models.bundle import WEIGHTS
from create_llm.models.weights import load_weights
from create_llm.storage.durable import FolderWriter
from create_llm.storage.tensors import load_tensors, tensor_chunks
from create_llm.training.loss_scale import LossScale
from create_llm.training.optimizers import Updates

FORMAT = 1
_OPTIMIZER = "optimizer.safetensors"
_SCALE = "loss_scale."


@dataclass(slots=True)
class TrainState:
    """What a run has done so far; the position in the data follows from `step`.

    Attributes:
        step: optimizer updates completed.
        tokens: counted tokens trained on.
        epoch_loss, epoch_tokens: nats and counted tokens since the epoch began.
        seconds: in training steps, over all sessions.
        wall_seconds: of the whole run, evaluations and checkpoints included, over all sessions.
        looked: the last step after which all that was due has been done: score, sample, epoch.
    """

    step: int = 0
    tokens: int = 0
    epoch_loss: float = 0.0
    epoch_tokens: int = 0
    best_val_loss: float | None = None
    seconds: float = 0.0
    wall_seconds: float = 0.0
    looked: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """The model being trained: how it is made, its module, and what it was made with."""

    architecture: Architecture
    module: nn.Module
    config: Any
    vocab_size: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of a checkpoint, in memory."""

    state: TrainState
    config: HFConfig
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]

    @property
    def bytes(self) -> int:
        tensors = (*self.weights.values(), *self.optimizer.values())
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def staged(self) -> Snapshot:
        """A copy on the CPU, which later steps do not change."""
        return replace(self, weights=_copied(self.weights), optimizer=_copied(self.optimizer))

    def write(self, writer: FolderWriter) -> None:
        """Write a checkpoint's files.

        Raises:
            NotFiniteError: a tensor holds a number that is not finite.
        """
        writer.write(WEIGHTS, tensor_chunks(self.weights))
        writer.write_json("config.json", self.config)
        writer.write(_OPTIMIZER, tensor_chunks(self.optimizer))
        writer.write_json("state.json", {"format": FORMAT, **asdict(self.state)})


class Trained(Protocol):
    """What a checkpoint is taken of."""

    @property
    def model(self) -> Model: ...
    @property
    def updates(self) -> Updates: ...


def snapshot(trained: Trained, scale: LossScale | None, state: TrainState) -> Snapshot:
    """The live tensors: the next step changes them."""
    model = trained.model
    config, weights = model.architecture.to_hf(
        model.config, model.vocab_size, model.module.state_dict()
    )
    optimizer = trained.updates.tensors(model.module)
    if scale is not None:
        optimizer.update({_SCALE + name: tensor for name, tensor in scale.tensors().items()})
    return Snapshot(replace(state), config, weights, optimizer)


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def read_checkpoint(folder: Path, trained: Trained, scale: LossScale | None) -> TrainState:
    """Restore module, optimizer and scale in place, from a checkpoint that has been verified.

    Raises:
        DataError: the checkpoint is of another format, or does not fit the module.
    """
    stored = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    if stored.pop("format") != FORMAT:
        raise DataError(
            f"{folder} was written by another version of create-llm",
            fixes=("continue with the version that wrote it", "start anew: --resume never"),
        )
    model = trained.model
    hf_config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    _, _, weights = model.architecture.from_hf(hf_config, load_tensors(folder / WEIGHTS))
    load_weights(model.module, weights, str(folder))
    optimizer = load_tensors(folder / _OPTIMIZER)
    scales = {key: optimizer.pop(key) for key in list(optimizer) if key.startswith(_SCALE)}
    trained.updates.load_tensors(model.module, optimizer)
    if scale is not None:
        scale.load_tensors({key.removeprefix(_SCALE): value for key, value in scales.items()})
    return TrainState(**stored)
