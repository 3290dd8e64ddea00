"""A plugin whose model and objective go bad, at a chosen moment.

The moment comes from the environment: `FAULTS_SPOIL` holds JSON with `what`, `value` and `call`,
the number of the forward pass of training, from 0. Once, at that call, a number becomes the value
(nan, inf): of a loss, gradient, weight, or weight after the backward pass. Or from that call on all
gradients are multiplied by the value (gradients), or each call takes so many seconds more (speed).
Without it both parts are GPT and the causal objective.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import Batch, LossOutput
from create_llm_gpt.architecture import GPT
from create_llm_gpt.config import GPTConfig
from create_llm_gpt.model import GPTModel
from create_llm_objectives.causal import CausalObjective

VARIABLE = "FAULTS_SPOIL"
_PLUGIN = """\
from create_llm import hookimpl

@hookimpl
def register_architectures(register):
    register("spoilt", "tests.faults.spoilt:SpoiltGPT", summary="GPT that goes bad.",
             config="create_llm_gpt.config:GPTConfig")

@hookimpl
def register_objectives(register):
    register("spoilt", "tests.faults.spoilt:SpoiltObjective", summary="A loss that goes bad.")
"""


def install_plugin(folder: Path) -> Path:
    """Lay out a distribution with this plugin in a folder for PYTHONPATH."""
    info = folder / "create_llm_spoilt-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: create-llm-spoilt\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[create_llm.plugins]\nspoilt = create_llm_spoilt\n")
    (folder / "create_llm_spoilt.py").write_text(_PLUGIN)
    return folder


class Steps:
    """Counts from 0 once the run has begun, and is -1 while its memory and time are only tried."""

    def __init__(self) -> None:
        self._numbers = count()

    def __next__(self) -> int:
        logs = Path.cwd().glob("logs/*/events.jsonl")
        begun = any(b'"train_start"' in log.read_bytes() for log in logs)
        return next(self._numbers) if begun else -1


class SpoiltObjective(CausalObjective):
    """Returns a loss that is no number, or whose gradients are of another size, or takes longer."""

    def __init__(self, config: Any, tokenizer: Any) -> None:
        super().__init__(config, tokenizer)
        self._calls = Steps()

    def loss(self, output: ModelOutput, batch: Batch) -> LossOutput:
        plain = super().loss(output, batch)
        if not plain.total.requires_grad:
            return plain
        call = next(self._calls)
        if _due("loss", call):
            return LossOutput(plain.total * _value(), plain.metrics)
        if _lasts("speed", call):
            time.sleep(_value())
        if _lasts("gradients", call):
            same = plain.total * _value()
            return LossOutput(same + (plain.total - same).detach(), plain.metrics)
        return plain


class SpoiltGPT(GPT):
    """Has a gradient or a weight that is no number, once."""

    def build(self, config: GPTConfig, vocab_size: int) -> GPTModel:
        module = super().build(config, vocab_size)
        weight = next(p for p in module.parameters() if p.ndim == 2)
        calls, backwards, updates = Steps(), Steps(), Steps()

        def before(module: nn.Module, inputs: object) -> None:
            del inputs
            if torch.is_grad_enabled() and module.training and _due("weight", next(calls)):
                _spoil(weight.data)

        def gradient(grad: Tensor) -> Tensor:
            return _spoil(grad.clone()) if _due("gradient", next(backwards)) else grad

        def after(parameter: Tensor) -> None:
            if _due("weight after the backward pass", next(updates)):
                _spoil(parameter.data)

        _hook(module, weight, before, gradient, after)
        return module


def _hook(
    module: nn.Module,
    weight: nn.Parameter,
    before: Callable[[nn.Module, object], None],
    gradient: Callable[[Tensor], Tensor],
    after: Callable[[Tensor], None],
) -> None:
    module.register_forward_pre_hook(before)
    weight.register_hook(gradient)  # type: ignore[no-untyped-call]
    weight.register_post_accumulate_grad_hook(after)  # type: ignore[no-untyped-call]


def _spec() -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(os.environ.get(VARIABLE, "{}"))
    return spec


def _due(what: str, call: int) -> bool:
    spec = _spec()
    return spec.get("what") == what and spec["call"] == call


def _lasts(what: str, call: int) -> bool:
    spec = _spec()
    return spec.get("what") == what and call >= spec["call"]


def _value() -> float:
    return float(_spec()["value"])


def _spoil(tensor: Tensor) -> Tensor:
    tensor.view(-1)[-1] = _value()
    return tensor
