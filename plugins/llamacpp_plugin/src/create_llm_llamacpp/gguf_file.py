"""A bundle's weights as a GGUF file.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from create_llm.models.bundle import WEIGHTS, ModelBundle
from create_llm.models.engine import CannotRun
from create_llm.storage.tensors import load_tensors
from create_llm_llamacpp.families import Family, HFConfig, family_of

Precision = Literal["f16", "f32"]
"""Of the matrices; the norms, which are small, stay in fp32."""

_SUFFIXES = (".weight", ".bias")


def write_gguf(bundle: ModelBundle, path: Path, precision: Precision) -> None:
    """Write the model without its tokenizer: each id is spelt as its number.

    The context is one longer than the model's, since llama.cpp wants a place for the last token
    that it writes, which no model here is ever asked to read.

    Raises:
        CannotRun: the model is of no family that this engine knows.
    """
    hf = bundle.hf_config()
    name, family = family_of(hf)
    writer = gguf.GGUFWriter(path, name)
    _add_keys(writer, name, family, hf)
    names = gguf.get_tensor_name_map(_architecture(name), int(hf[family.keys["block_count"]]))
    for theirs, tensor in sorted(load_tensors(bundle.path / WEIGHTS).items()):
        ours = names.get_name(theirs, try_suffixes=_SUFFIXES)
        if ours is None:
            raise CannotRun(f"llama.cpp has no place for {theirs}", where=str(bundle.path))
        writer.add_tensor(ours, _stored(_turned(theirs, tensor, family, hf), precision))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _architecture(name: str) -> gguf.MODEL_ARCH:
    found = {spelt: known for known, spelt in gguf.MODEL_ARCH_NAMES.items()}
    return found[name]


def _add_keys(writer: gguf.GGUFWriter, name: str, family: Family, hf: HFConfig) -> None:
    for key, theirs in family.keys.items():
        value = hf[theirs]
        if isinstance(value, float):
            writer.add_float32(f"{name}.{key}", value)
        else:
            writer.add_uint32(f"{name}.{key}", value + (key == "context_length"))
    size = int(hf["vocab_size"])
    writer.add_vocab_size(size)
    # The one kind of vocabulary that brings no control tokens of its own.
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list([str(number) for number in range(size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * size)


def _turned(name: str, tensor: Tensor, family: Family, hf: HFConfig) -> Tensor:
    """The tensor as llama.cpp reads it."""
    if name.endswith(family.turned):
        return tensor.t()
    if family.positions is not None and name.endswith(family.positions):
        return torch.cat((tensor, torch.zeros_like(tensor[:1])))
    for end, heads in (family.halves or {}).items():
        if name.endswith(end):
            halves = tensor.view(int(hf[heads]), 2, -1, tensor.shape[1])
            return halves.transpose(1, 2).reshape(tensor.shape)
    return tensor


def _stored(tensor: Tensor, precision: Precision) -> NDArray[np.floating]:
    half = precision == "f16" and tensor.ndim > 1
    stored: NDArray[np.floating] = (
        tensor.to(torch.float16 if half else torch.float32).contiguous().numpy()
    )
    return stored
