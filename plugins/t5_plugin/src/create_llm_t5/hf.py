"""Between this module's parameters and Hugging Face's T5 form.

One table, `_layout`, says which of their tensors make up each of ours, so that writing, reading
and checking cannot disagree. Nothing is permuted or rounded: there and back is the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from create_llm.errors import DataError
from create_llm.models.architecture import HFConfig
from create_llm_t5.config import T5Config

_FORMS = {"v1.1": "gated-gelu", "v1.0": "relu"}
"""Our form → their feed_forward_proj."""

_KEYS = {
    "max_length": "n_positions",  # in the first published T5s; T5ForConditionalGeneration has none
    "layers": "num_layers",
    "decoder_layers": "num_decoder_layers",
    "heads": "num_heads",
    "dim": "d_model",
    "head_dim": "d_kv",
    "ffn_dim": "d_ff",
    "dropout": "dropout_rate",
    "position_buckets": "relative_attention_num_buckets",
    "position_distance": "relative_attention_max_distance",
    "norm_eps": "layer_norm_epsilon",
}
"""Our key → the key of config.json. What is missing there has the same default in both."""

_REQUIRED = ("layers", "heads", "dim", "head_dim", "ffn_dim")
_DERIVED = {"decoder_layers": "decoder_depth", "head_dim": "head_width", "ffn_dim": "ffn_width"}

_CLASSES = ("T5ForConditionalGeneration", "T5WithLMHeadModel")  # the second is its older name
_EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
_HEAD = "lm_head.weight"
_UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
"""In the first published T5s, which no class reads."""

_FIXES = (
    "choose a T5 model without it; t5-small, t5-v1_1-small and flan-t5-small are such",
    "or install a plugin whose architecture reads it: llm plugins list",
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """One tensor of theirs: its name and shape."""

    name: str
    shape: tuple[int, ...]


def to_hf_config(config: T5Config, vocab_size: int, dtype: torch.dtype) -> HFConfig:
    shape = {theirs: getattr(config, ours) for ours, theirs in _KEYS.items()}
    shape |= {_KEYS[ours]: getattr(config, width) for ours, width in _DERIVED.items()}
    dtype_name = str(dtype).removeprefix("torch.")
    return {
        "architectures": [_CLASSES[0]],
        "model_type": "t5",
        "vocab_size": vocab_size,
        **shape,
        "feed_forward_proj": _FORMS[config.form],
        "tie_word_embeddings": config.tied,
        "is_encoder_decoder": True,
        # transformers 5 reads the first, 4 the second.
        "dtype": dtype_name,
        "torch_dtype": dtype_name,
        "initializer_factor": 1.0,
        "use_cache": True,
        # Known to the tokenizer and the objective alone.
        "eos_token_id": None,
        "pad_token_id": None,
    }


def from_hf_config(hf: HFConfig) -> tuple[T5Config, int]:
    """Config and vocabulary size.

    Raises:
        DataError: a form that this architecture does not read, or a config.json with gaps.
    """
    _refuse_other_forms(hf)
    values = {ours: hf[key] for ours, key in _KEYS.items() if hf.get(key) is not None}
    for ours in _REQUIRED:
        if ours not in values:
            raise _damaged(_KEYS[ours], f"config.json lacks {_KEYS[ours]}")
    vocab_size = hf.get("vocab_size")
    if not isinstance(vocab_size, int) or vocab_size < 1:
        raise _damaged("vocab_size", f"config.json gives vocab_size as {vocab_size!r}")
    projection = hf.get("feed_forward_proj", "relu")
    values["form"] = next(form for form, name in _FORMS.items() if name == projection)
    return _config({**values, "tied": _is_scaled(hf)}), vocab_size


def _refuse_other_forms(hf: HFConfig) -> None:
    family, projection = hf.get("model_type"), hf.get("feed_forward_proj", "relu")
    if family != "t5":
        raise _unreadable("model_type", f"of the family '{family}', not t5")
    for name in hf.get("architectures") or ():
        if name not in _CLASSES:
            raise _unreadable("architectures", f"of the class {name}, not {_CLASSES[0]}")
    if projection not in _FORMS.values():
        raise _unreadable("feed_forward_proj", f"with feed-forward layers of '{projection}'")
    if hf.get("quantization_config") is not None:
        raise _unreadable("quantization_config", "with quantised weights")


def _is_scaled(hf: HFConfig) -> bool:
    """Whether hidden states are scaled before the head, as they are where it is the embedding.

    transformers 5 writes tie_word_embeddings as true in any case, and a key of its own.
    """
    return bool(hf.get("scale_decoder_outputs", hf.get("tie_word_embeddings", True)))


def _config(values: Mapping[str, Any]) -> T5Config:
    """Validated, with what would follow by itself left out, as a person would write it."""
    try:
        config = T5Config(**values)
    except ValidationError as error:
        first = error.errors()[0]
        ours = str(first["loc"][0]) if first["loc"] else "config.json"
        message = first["msg"].removeprefix("Value error, ")
        raise _damaged(_KEYS.get(ours, ours), f"config.json cannot be used: {message}") from error
    derived = dict(_DERIVED)
    if config.dim % config.heads:
        del derived["head_dim"]
    without = {ours: config.model_copy(update={ours: None}) for ours in derived}
    implied = [
        ours
        for ours, width in derived.items()
        if getattr(without[ours], width) == getattr(config, width)
    ]
    return config.model_copy(update=dict.fromkeys(implied))


def to_hf_tensors(
    config: T5Config, vocab_size: int, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Views of the state dict under their names."""
    tensors: dict[str, Tensor] = {}
    for ours, pieces in _layout(config, vocab_size).items():
        parts = torch.split(state[ours], [piece.shape[0] for piece in pieces])
        tensors.update(zip((piece.name for piece in pieces), parts, strict=True))
    return tensors


def from_hf_tensors(
    hf: HFConfig, config: T5Config, vocab_size: int, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The state dict; fused matrices are new tensors, the others are shared.

    Raises:
        DataError: a tensor is missing, has another shape, or has no place in the model.
    """
    layout = _layout(config, vocab_size)
    known = {piece.name for pieces in layout.values() for piece in pieces}
    tensors = _without_repeats(hf, config, tensors)
    for name in sorted(tensors):
        if name not in known:
            raise _unreadable(name, f"with a tensor that has no place here, {name}")
    state = {}
    for ours, pieces in layout.items():
        parts = [_take(tensors, piece) for piece in pieces]
        state[ours] = parts[0] if len(parts) == 1 else torch.cat(parts)
    return state


def _without_repeats(
    hf: HFConfig, config: T5Config, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """With the embedding once, as shared.weight: files have it under up to four names."""
    found = dict(tensors)
    found.pop(_UNUSED, None)
    names = (*_EMBEDDINGS, _HEAD) if config.tied else _EMBEDDINGS
    copies = {name: found.pop(name) for name in names if name in found}
    if not copies:
        return found
    shared = next(iter(copies.values()))
    for name, copy in copies.items():
        if not torch.equal(copy, shared):
            raise _unreadable(name, f"whose {name} is not the embedding that it shares")
    if not config.tied and "scale_decoder_outputs" in hf:
        found.setdefault(_HEAD, shared)  # transformers 5 shares it all the same
    return {"shared.weight": shared, **found}


def _take(tensors: Mapping[str, Tensor], piece: _Piece) -> Tensor:
    tensor = tensors.get(piece.name)
    if tensor is None:
        raise _damaged(piece.name, f"the weights lack {piece.name}")
    if tuple(tensor.shape) != piece.shape:
        found, expected = list(tensor.shape), list(piece.shape)
        raise _damaged(piece.name, f"{piece.name} is {found}; config.json makes it {expected}")
    return tensor


def _layout(config: T5Config, vocab_size: int) -> dict[str, tuple[_Piece, ...]]:
    """Our parameter → the tensors of theirs that, stacked by rows, are it."""
    dim, bias = config.dim, (config.position_buckets, config.heads)
    table = (vocab_size, dim)
    layout: dict[str, tuple[_Piece, ...]] = {"embedding": (_Piece("shared", table),)}
    for stack, depth in (("encoder", config.layers), ("decoder", config.decoder_depth)):
        first = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias"
        layout[f"{stack}.position_bias"] = (_Piece(first, bias),)
        for index in range(depth):
            for ours, pieces in _block_layout(config, crossed=stack == "decoder").items():
                layout[f"{stack}.layers.{index}.{ours}"] = tuple(
                    _Piece(f"{stack}.block.{index}.{piece.name}", piece.shape) for piece in pieces
                )
        layout[f"{stack}.norm"] = (_Piece(f"{stack}.final_layer_norm", (dim,)),)
    if not config.tied:
        layout["lm_head"] = (_Piece("lm_head", table),)
    return {
        f"{ours}.weight": tuple(_Piece(f"{piece.name}.weight", piece.shape) for piece in pieces)
        for ours, pieces in layout.items()
    }


def _block_layout(config: T5Config, *, crossed: bool) -> dict[str, tuple[_Piece, ...]]:
    dim, ffn, inner = config.dim, config.ffn_width, config.inner_width
    into, norm = (inner, dim), (dim,)
    own, other = "layer.0.SelfAttention", "layer.1.EncDecAttention"
    last = "layer.2" if crossed else "layer.1"
    ups = ("wi_0", "wi_1") if config.form == "v1.1" else ("wi",)
    layout: dict[str, tuple[_Piece, ...]] = {
        "attention.norm": (_Piece("layer.0.layer_norm", norm),),
        "attention.qkv": tuple(_Piece(f"{own}.{part}", into) for part in "qkv"),
        "attention.out": (_Piece(f"{own}.o", (dim, inner)),),
        "ffn.norm": (_Piece(f"{last}.layer_norm", norm),),
        "ffn.up": tuple(_Piece(f"{last}.DenseReluDense.{up}", (ffn, dim)) for up in ups),
        "ffn.down": (_Piece(f"{last}.DenseReluDense.wo", (dim, ffn)),),
    }
    if crossed:
        layout["cross.norm"] = (_Piece("layer.1.layer_norm", norm),)
        layout["cross.q"] = (_Piece(f"{other}.q", into),)
        layout["cross.kv"] = tuple(_Piece(f"{other}.{part}", into) for part in "kv")
        layout["cross.out"] = (_Piece(f"{other}.o", (dim, inner)),)
    return layout


def _unreadable(where: str, what: str) -> DataError:
    return DataError(f"this is a model {what}, which t5 does not read", where=where, fixes=_FIXES)


def _damaged(where: str, what: str) -> DataError:
    fixes = ("fetch the model again: llm import", "or correct config.json by the model's card")
    return DataError(what, where=where, fixes=fixes)
