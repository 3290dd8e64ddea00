"""Loss scaling, for fp16: its smallest numbers are larger than many gradients.

Micikevicius et al. 2017, "Mixed Precision Training", 1710.03740.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_FIRST, _LEAST = 2.0**16, 1.0
_GROWTH, _BACKOFF, _GROWS_AFTER = 2.0, 0.5, 2000


class LossScale:
    """By how much the loss is multiplied before the backward pass.

    Halved where a gradient overflows, whose update is then skipped, and doubled after 2,000 steps
    in which none did. It stays on the device: the host waits for nothing.
    """

    def __init__(self, device: torch.device) -> None:
        self._scale = torch.full((), _FIRST, device=device)
        self._good = torch.zeros((), dtype=torch.int32, device=device)

    def scaled(self, loss: Tensor) -> Tensor:
        return loss * self._scale

    def unscale(self, module: nn.Module) -> None:
        """Divide the gradients by the scale, in place."""
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        torch._foreach_mul_(gradients, self._scale.reciprocal())

    def update(self, overflow: Tensor) -> Tensor:
        """Adjust to whether a gradient overflowed (bool scalar); true where no scale helps."""
        hopeless = overflow & (self._scale <= _LEAST)
        torch._amp_update_scale_(
            self._scale, self._good, overflow.float(), _GROWTH, _BACKOFF, _GROWS_AFTER
        )
        return hopeless

    def tensors(self) -> dict[str, Tensor]:
        return {"scale": self._scale, "good": self._good}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
