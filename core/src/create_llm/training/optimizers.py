"""torch's own optimizers over the architecture's parameter groups, and their state as tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Muon, Optimizer

from create_llm.models.architecture import ParamGroups

Groups = list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """Of the [training] section."""

    name: str
    learning_rate: float
    weight_decay: float
    beta1: float
    beta2: float

    @property
    def betas(self) -> tuple[float, float]:
        return self.beta1, self.beta2


# All fused: one kernel for the whole update, which skips it on the device when told to.
_WHOLE: Mapping[str, Callable[[Groups, OptimizerSettings], Optimizer]] = {
    "adamw": lambda groups, s: AdamW(groups, lr=s.learning_rate, betas=s.betas, fused=True),
    "adam": lambda groups, s: Adam(groups, lr=s.learning_rate, betas=s.betas, fused=True),
    "sgd": lambda groups, s: SGD(groups, lr=s.learning_rate, momentum=s.beta1, fused=True),
}


class Updates:
    """What changes the weights: one optimizer, or several that share the parameters.

    All follow one learning rate. A step can be skipped on the device, without the host learning
    of it.
    """

    def __init__(self, optimizers: Sequence[Optimizer], rates: Sequence[float] = ()) -> None:
        """
        Args:
            rates: by what each optimizer multiplies the learning rate; 1 where none is given.
        """
        self._optimizers = tuple(optimizers)
        self._rates = tuple(rates) or (1.0,) * len(self._optimizers)

    def step_unless(self, bad: Tensor, learning_rate: float) -> None:
        """One update, skipped where `bad` (bool scalar on the device) is true."""
        for optimizer, rate in zip(self._optimizers, self._rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * rate
            if isinstance(optimizer, Muon) and _skip_update(optimizer, bad):
                continue
            _begin_momentum(optimizer)
            # Fused optimizers read the attribute that torch's own GradScaler sets.
            optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
            optimizer.step()

    def zero_grad(self) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad()

    def forget(self) -> None:
        """Be as before the first update."""
        for optimizer in self._optimizers:
            optimizer.state.clear()

    def tensors(self, module: nn.Module) -> dict[str, Tensor]:
        """The state as `parameter.key` → tensor."""
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        return {
            f"{names[id(parameter)]}.{key}": value
            for optimizer in self._optimizers
            for parameter, state in optimizer.state.items()
            for key, value in state.items()
            if isinstance(value, Tensor)
        }

    def load_tensors(self, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`, onto each parameter's device."""
        parameters = dict(module.named_parameters())
        owner = {
            id(parameter): optimizer
            for optimizer in self._optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        for key, value in tensors.items():
            name, _, field = key.rpartition(".")
            parameter = parameters[name]
            state = owner[id(parameter)].state[parameter]
            state[field] = value.to(parameter.device, copy=True)


def build_updates(groups: ParamGroups, settings: OptimizerSettings) -> Updates:
    """Weight decay on matrices and embeddings; none on norms.

    "muon" is Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) for the
    matrices of two dimensions, scaled to the size of AdamW's updates (Liu et al. 2025,
    2502.16982), and AdamW for everything else.
    """
    if settings.name != "muon":
        decayed = [*groups.matrices, *groups.embeddings]
        return Updates([_WHOLE[settings.name](_split(decayed, groups.norms, settings), settings)])
    matrices = [p for p in groups.matrices if p.ndim == 2]
    others = [*(p for p in groups.matrices if p.ndim != 2), *groups.embeddings]
    rest = _WHOLE["adamw"](_split(others, groups.norms, settings), settings)
    if not matrices:
        return Updates([rest])
    return Updates([_muon(matrices, settings), rest], [1.0, _ADAMW_BESIDE_MUON])


def _split(
    decayed: Sequence[nn.Parameter], norms: Sequence[nn.Parameter], settings: OptimizerSettings
) -> Groups:
    groups: Groups = [
        {"params": list(decayed), "weight_decay": settings.weight_decay},
        {"params": list(norms), "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _muon(matrices: Sequence[nn.Parameter], settings: OptimizerSettings) -> Muon:
    return Muon(
        matrices,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        momentum=_MUON_MOMENTUM,
        adjust_lr_fn="match_rms_adamw",
    )


_MUON_MOMENTUM = 0.95
_ADAMW_BESIDE_MUON = 4.0
"""Embeddings and head learn best at a rate of their own: 1 cost 0.03 bits per byte, measured on a
model of 2 million parameters after a million tokens (benchmarks/quality.py)."""


def _begin_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Zero the momentum before the first update of SGD.

    torch's fused one makes it at that update, and leaves it as the memory was if the update is
    skipped. From zero the first update is the same.
    """
    if not isinstance(optimizer, SGD):
        return
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            state = optimizer.state[parameter]
            if state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(parameter)


def _skip_update(optimizer: Muon, bad: Tensor) -> bool:
    """Whether to leave out the update of an optimizer that takes no `found_inf`.

    A CPU has nothing to wait for and asks. Elsewhere gradients that are not numbers become zero:
    the run ends at the next reading of the loss, and no such state is ever saved.
    """
    if bad.device.type == "cpu":
        return bool(bad)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(bad, 0.0)
    return False


def gradient_norm(module: nn.Module) -> Tensor:
    """The L2 norm over all gradients, on the device."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)
