"""The numbers that the forward pass computes in; parameters and optimizer state stay fp32."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch

_PRODUCTS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def product_dtype(precision: str) -> torch.dtype:
    """What matrix products are computed in under a precision."""
    return _PRODUCTS[precision]


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context of a forward pass: 16 bits where asked for, otherwise nothing at all."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=product_dtype(precision))


def compute_dtype(like: torch.Tensor) -> torch.dtype:
    """What products with this tensor are computed in: autocast's type inside of it."""
    device = like.device.type
    on = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if on else like.dtype
