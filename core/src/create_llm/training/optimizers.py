"""torch's own optimizers over the architecture's parameter groups, and their state as tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from create_llm.models.architecture import ParamGroups


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """Of the [training] section."""

    name: str
    learning_rate: float
    weight_decay: float
    beta1: float
    beta2: float


def _adamw(groups: list[dict[str, object]], settings: OptimizerSettings) -> Optimizer:
    betas = (settings.beta1, settings.beta2)
    return AdamW(groups, lr=settings.learning_rate, betas=betas, fused=True)


def _adam(groups: list[dict[str, object]], settings: OptimizerSettings) -> Optimizer:
    betas = (settings.beta1, settings.beta2)
    return Adam(groups, lr=settings.learning_rate, betas=betas, fused=True)


def _sgd(groups: list[dict[str, object]], settings: OptimizerSettings) -> Optimizer:
    return SGD(groups, lr=settings.learning_rate, momentum=settings.beta1, fused=True)


# All fused: one kernel for the whole update, which skips it on the device when told to.
OPTIMIZERS: dict[str, Callable[[list[dict[str, object]], OptimizerSettings], Optimizer]] = {
    "adamw": _adamw,
    "adam": _adam,
    "sgd": _sgd,
}


def build_optimizer(groups: ParamGroups, settings: OptimizerSettings) -> Optimizer:
    """Weight decay on matrices and embeddings; none on norms."""
    decayed = [*groups.matrices, *groups.embeddings]
    split: list[dict[str, object]] = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": list(groups.norms), "weight_decay": 0.0},
    ]
    return OPTIMIZERS[settings.name]([group for group in split if group["params"]], settings)


def step_unless(optimizer: Optimizer, found_nonfinite: Tensor, learning_rate: float) -> None:
    """One update, skipped on the device where `found_nonfinite` (fp32 scalar) is 1.

    The host does not learn of it, and so does not wait. Fused optimizers read `found_inf`, the
    attribute that torch's own GradScaler sets.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.found_inf = found_nonfinite  # type: ignore[attr-defined]
    optimizer.step()


def optimizer_tensors(optimizer: Optimizer, module: nn.Module) -> dict[str, Tensor]:
    """The optimizer's state as `parameter.key` → tensor."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    tensors: dict[str, Tensor] = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{names[id(parameter)]}.{key}"] = value
    return tensors


def load_optimizer_tensors(
    optimizer: Optimizer, module: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """The inverse of `optimizer_tensors`, onto each parameter's device."""
    parameters = dict(module.named_parameters())
    for key, value in tensors.items():
        name, _, field = key.rpartition(".")
        parameter = parameters[name]
        optimizer.state[parameter][field] = value.to(parameter.device, copy=True)


def gradient_norm(module: nn.Module) -> Tensor:
    """The L2 norm over all gradients, on the device."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)
