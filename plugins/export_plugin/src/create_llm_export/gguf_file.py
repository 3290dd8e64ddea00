"""A bundle as a GGUF file.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf.quants import quantize
from numpy.typing import NDArray
from torch import Tensor

from create_llm.errors import ConfigError
from create_llm.models.bundle import WEIGHTS, ModelBundle
from create_llm.storage.tensors import load_tensors
from create_llm_export.config import Precision
from create_llm_export.families import Family, HFConfig, family_of
from create_llm_export.words import Words

_SUFFIXES = (".weight", ".bias")
_Kind = gguf.GGMLQuantizationType
_KINDS: Mapping[Precision, tuple[_Kind, gguf.LlamaFileType]] = {
    "f32": (_Kind.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (_Kind.F16, gguf.LlamaFileType.MOSTLY_F16),
    "bf16": (_Kind.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (_Kind.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "q5_1": (_Kind.Q5_1, gguf.LlamaFileType.MOSTLY_Q5_1),
    "q5_0": (_Kind.Q5_0, gguf.LlamaFileType.MOSTLY_Q5_0),
    "q4_1": (_Kind.Q4_1, gguf.LlamaFileType.MOSTLY_Q4_1),
    "q4_0": (_Kind.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
    "mxfp4": (_Kind.MXFP4, gguf.LlamaFileType.MOSTLY_MXFP4_MOE),
    "tq2_0": (_Kind.TQ2_0, gguf.LlamaFileType.MOSTLY_TQ2_0),
    "tq1_0": (_Kind.TQ1_0, gguf.LlamaFileType.MOSTLY_TQ1_0),
}
_WHOLE = (_Kind.F32, _Kind.F16, _Kind.BF16)
_TABLES = ("token_embd.weight", "output.weight")
_POSITIONS = "position_embd.weight"
_SAMPLING = {
    "temperature": "add_sampling_temp",
    "top_k": "add_sampling_top_k",
    "top_p": "add_sampling_top_p",
    "min_p": "add_sampling_min_p",
    "repetition_penalty": "add_sampling_penalty_repeat",
}


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is to be written.

    Attributes:
        precision: of the matrices; the norms, which are small, stay in fp32.
        words: what it says of the tokenizer; None: each id is spelt as its number.
    """

    precision: Precision
    words: Words | None


def write_gguf(bundle: ModelBundle, path: Path, form: Form) -> None:
    """Write the model. The same bundle and form give the same bytes.

    Without words the context is one longer than the model's: llama.cpp wants a place for the last
    token that it writes, which no engine here asks it to read.

    Raises:
        ConfigError: the model is of no family that goes into GGUF, or nothing in it can be written
            in that precision.
    """
    hf = bundle.hf_config()
    name, family = family_of(hf)
    writer = gguf.GGUFWriter(path, name)
    spare = int(form.words is None)
    _add_keys(writer, name, family, hf, spare)
    _add_general(writer, bundle, form)
    if form.words is None:
        _add_numbers(writer, int(hf["vocab_size"]))
    else:
        form.words.add_to(writer)
    names = gguf.get_tensor_name_map(_architecture(name), int(hf[family.keys["block_count"]]))
    kinds: set[_Kind] = set()
    for theirs, tensor in sorted(load_tensors(bundle.path / WEIGHTS).items()):
        ours = names.get_name(theirs, try_suffixes=_SUFFIXES)
        if ours is None:
            raise ConfigError(f"llama.cpp has no place for {theirs}", where=str(bundle.path))
        array = _turned(theirs, tensor, family, hf, spare).float().contiguous().numpy()
        kind = _kind(ours, array, form.precision)
        kinds.add(kind)
        writer.add_tensor(ours, quantize(array, kind), raw_dtype=kind)
    if _KINDS[form.precision][0] not in kinds:
        raise _too_narrow(bundle, form.precision)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def kinds_in(path: Path) -> Counter[str]:
    """What the matrices of a file are stored as, by llama.cpp's names, and how many of each."""
    matrices = (tensor for tensor in gguf.GGUFReader(path).tensors if len(tensor.shape) > 1)
    return Counter(tensor.tensor_type.name for tensor in matrices)


def _too_narrow(bundle: ModelBundle, precision: Precision) -> ConfigError:
    block, _ = gguf.GGML_QUANT_SIZES[_KINDS[precision][0]]
    return ConfigError(
        f"no matrix of the model can be written in {precision}: it takes rows whose length is a "
        f"multiple of {block}",
        where=str(bundle.path),
        fixes=(
            "write it in f16, which takes any",
            f"or train a model whose width is a multiple of {block}",
        ),
    )


def _architecture(name: str) -> gguf.MODEL_ARCH:
    found = {spelt: known for known, spelt in gguf.MODEL_ARCH_NAMES.items()}
    return found[name]


def _add_keys(writer: gguf.GGUFWriter, name: str, family: Family, hf: HFConfig, spare: int) -> None:
    for key, theirs in family.keys.items():
        value = hf[theirs]
        if isinstance(value, float):
            writer.add_float32(f"{name}.{key}", value)
        else:
            writer.add_uint32(f"{name}.{key}", value + spare * (key == "context_length"))
    writer.add_vocab_size(int(hf["vocab_size"]))


def _add_general(writer: gguf.GGUFWriter, bundle: ModelBundle, form: Form) -> None:
    kind, file_type = _KINDS[form.precision]
    writer.add_file_type(file_type)
    if kind not in _WHOLE:
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    if form.words is None:
        return
    writer.add_name(bundle.name)
    defaults = bundle.sampling_defaults()
    if defaults.get("do_sample"):
        for key, add in _SAMPLING.items():
            if defaults.get(key) is not None:
                getattr(writer, add)(defaults[key])


def _add_numbers(writer: gguf.GGUFWriter, size: int) -> None:
    # The one kind of vocabulary that brings no control tokens of its own.
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list([str(number) for number in range(size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * size)


def _turned(name: str, tensor: Tensor, family: Family, hf: HFConfig, spare: int) -> Tensor:
    """The tensor as llama.cpp reads it."""
    if name.endswith(family.turned):
        return tensor.t()
    if family.positions is not None and name.endswith(family.positions):
        return torch.cat((tensor, torch.zeros_like(tensor[:spare])))
    for end, heads in (family.halves or {}).items():
        if name.endswith(end):
            halves = tensor.view(int(hf[heads]), 2, -1, tensor.shape[1])
            return halves.transpose(1, 2).reshape(tensor.shape)
    return tensor


def _kind(name: str, array: NDArray[np.float32], precision: Precision) -> gguf.GGMLQuantizationType:
    """What a tensor is stored as: norms, biases and learned positions whole, the tables of tokens
    in no fewer than 8 bits, and rows that blocks do not divide in 16."""
    kind = _KINDS[precision][0]
    if array.ndim < 2 or name == _POSITIONS:
        return _Kind.F32
    if name in _TABLES and kind not in _WHOLE:
        kind = _Kind.Q8_0
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    return kind if array.shape[-1] % block == 0 else _Kind.F16
