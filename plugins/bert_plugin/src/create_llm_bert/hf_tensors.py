"""Between this module's parameters and the tensors of Hugging Face's BertForMaskedLM.

One table, `_layout`, says which of their tensors make up each of ours, so that writing, reading
and checking cannot disagree. Nothing is permuted or rounded: there and back is the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from create_llm_bert.config import BERTConfig
from create_llm_bert.hf import damaged, unreadable
from create_llm_bert.model import BERTModel

_BLOCK = {
    "attention.qkv": (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
    ),
    "attention.out": ("attention.output.dense",),
    "attention_norm": ("attention.output.LayerNorm",),
    "ffn.up": ("intermediate.dense",),
    "ffn.down": ("output.dense",),
    "ffn_norm": ("output.LayerNorm",),
}
"""Our part of a block → theirs, each a weight and a bias."""

_TABLE = "bert.embeddings.word_embeddings.weight"
_BIAS = "cls.predictions.bias"
_REPEATED = {"cls.predictions.decoder.weight": _TABLE, "cls.predictions.decoder.bias": _BIAS}
"""What some files hold a second time."""
_UNUSED = frozenset(
    {
        "bert.embeddings.position_ids",
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "cls.seq_relationship.weight",
        "cls.seq_relationship.bias",
    }
)
"""No parameters, and those that guess whether two sentences belong together: filling needs none."""

_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""As the files converted from TensorFlow have them, bert-base-uncased among them."""


def to_hf_tensors(config: BERTConfig, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Views of the state dict under their names."""
    tensors: dict[str, Tensor] = {}
    for ours, theirs in _layout(config).items():
        tensors.update(zip(theirs, state[ours].chunk(len(theirs)), strict=True))
    return tensors


def from_hf_tensors(
    config: BERTConfig, vocab_size: int, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The state dict; fused matrices are new tensors, the others are shared.

    Raises:
        DataError: a tensor is missing, has another shape, or has no place in the model.
    """
    renamed = {_new_name(name): tensor for name, tensor in tensors.items()}
    layout = _layout(config)
    _refuse_strangers(renamed, {name for names in layout.values() for name in names})
    with torch.device("meta"):
        expected = BERTModel(config, vocab_size).state_dict()
    state = {}
    for ours, theirs in layout.items():
        rows, *rest = expected[ours].shape
        parts = [_take(renamed, name, (rows // len(theirs), *rest)) for name in theirs]
        state[ours] = parts[0] if len(parts) == 1 else torch.cat(parts)
    return state


def _new_name(name: str) -> str:
    for old, new in _OLD_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _take(tensors: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    tensor = tensors.get(name)
    if tensor is None:
        raise damaged(name, f"the weights lack {name}")
    if tuple(tensor.shape) != shape:
        found, expected = list(tensor.shape), list(shape)
        raise damaged(name, f"{name} is {found}; config.json makes it {expected}")
    return tensor


def _refuse_strangers(tensors: Mapping[str, Tensor], known: set[str]) -> None:
    if not any(name.startswith("cls.predictions.") for name in tensors):
        raise unreadable("cls.predictions", "without the head that guesses masked tokens")
    for name in sorted(tensors.keys() - known - _UNUSED):
        original = tensors.get(_REPEATED.get(name, ""))
        if original is None:
            raise unreadable(name, f"with a tensor that has no place here, {name}")
        if not torch.equal(tensors[name], original):
            raise unreadable(name, f"whose {name} is not {_REPEATED[name]}")


def _layout(config: BERTConfig) -> dict[str, tuple[str, ...]]:
    """Our parameter → the tensors of theirs that, stacked by rows, are it."""
    layout: dict[str, tuple[str, ...]] = {
        "embeddings.tokens.weight": (_TABLE,),
        "embeddings.positions.weight": ("bert.embeddings.position_embeddings.weight",),
        "embeddings.types.weight": ("bert.embeddings.token_type_embeddings.weight",),
        "head.bias": (_BIAS,),
    }
    modules: dict[str, tuple[str, ...]] = {
        "embeddings.norm": ("bert.embeddings.LayerNorm",),
        "head.dense": ("cls.predictions.transform.dense",),
        "head.norm": ("cls.predictions.transform.LayerNorm",),
    }
    for index in range(config.layers):
        for ours, theirs in _BLOCK.items():
            full = tuple(f"bert.encoder.layer.{index}.{name}" for name in theirs)
            modules[f"layers.{index}.{ours}"] = full
    for kind in ("weight", "bias"):
        for ours, theirs in modules.items():
            layout[f"{ours}.{kind}"] = tuple(f"{name}.{kind}" for name in theirs)
    return layout
