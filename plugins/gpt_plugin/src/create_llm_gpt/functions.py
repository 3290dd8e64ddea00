"""torch's autograd functions, with the types that torch leaves out."""

from __future__ import annotations

from typing import cast

from torch import Tensor
from torch.autograd import Function as Function
from torch.autograd.function import FunctionCtx


def applied(function: type[Function], *arguments: Tensor | float) -> Tensor:
    """What an autograd function returns."""
    return cast(Tensor, function.apply(*arguments))  # type: ignore[no-untyped-call]


def saved(ctx: FunctionCtx) -> tuple[Tensor, ...]:
    """What its forward saved for its backward."""
    return cast("tuple[Tensor, ...]", ctx.saved_tensors)  # type: ignore[attr-defined]
