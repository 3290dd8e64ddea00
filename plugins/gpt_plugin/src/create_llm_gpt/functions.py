"""torch's autograd functions, with the types that torch leaves out."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.autograd import Function as Function
from torch.autograd.function import FunctionCtx


def applied(function: type[Function], x: Tensor, *others: Tensor | float | None) -> Tensor:
    """What an autograd function makes of its arguments, in the dtype of the first.

    Without autocast, which would compute its softmax in fp32 and then cast it for each product.
    """
    with torch.autocast(x.device.type, enabled=False):
        return cast(Tensor, function.apply(x, *others))  # type: ignore[no-untyped-call]


def saved(ctx: FunctionCtx) -> tuple[Tensor, ...]:
    """What its forward saved for its backward."""
    return cast("tuple[Tensor, ...]", ctx.saved_tensors)  # type: ignore[attr-defined]
