"""Tensors as safetensors files, streamed through `Storage`.

The library's own writer opens the file itself, in Rust, out of reach of `Storage`; the format is
an 8-byte little-endian length, a JSON header and the raw bytes
(https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from create_llm.errors import DataError

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.complex64: "C64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
    torch.float8_e5m2: "F8_E5M2",
    torch.float8_e5m2fnuz: "F8_E5M2FNUZ",
}
"""Every type that safetensors reads into torch."""


class NotFiniteError(ValueError):
    """A tensor holds a number that is not finite."""


def tensor_chunks(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file, one tensor at a time, in name order.

    Raises:
        NotFiniteError: such weights are never written.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, tensor in sorted(tensors.items()):
        if not _is_finite(tensor):
            raise NotFiniteError(f"{name} holds numbers that are not finite")
        stop = start + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, stop],
        }
        start = stop
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    yield len(encoded).to_bytes(8, "little") + encoded
    for _, tensor in sorted(tensors.items()):
        flat = tensor.detach().to("cpu").contiguous().reshape(-1)
        yield flat.view(torch.uint8).numpy().data


def _is_finite(tensor: Tensor) -> bool:
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    # torch does not look into numbers of eight bits.
    wide = tensor.float() if tensor.element_size() == 1 else tensor
    return bool(torch.isfinite(wide).all())


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file to the CPU.

    Raises:
        DataError: the file is damaged or is no safetensors file.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError) as error:
        raise DataError(f"the weights cannot be read: {error}", where=str(path)) from error
    if os.name != "nt":
        return tensors
    # They are views of the file, and Windows cannot move or remove what is open: the optimizer
    # of a resumed run would keep its checkpoint from being rotated out.
    return {name: tensor.clone() for name, tensor in tensors.items()}
