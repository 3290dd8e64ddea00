"""Between this module's parameters and Hugging Face's Llama and Qwen3 forms.

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
from create_llm_gpt.config import GPTConfig

_CLASSES = {"qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM"}

_KEYS = {
    "max_length": "max_position_embeddings",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "dim": "hidden_size",
    "head_dim": "head_dim",
    "ffn_dim": "intermediate_size",
    "dropout": "resid_pdrop",  # GPT-2's name; the Llama and Qwen3 classes leave it unused
    "attention_dropout": "attention_dropout",
    "norm_eps": "rms_norm_eps",
    "tied": "tie_word_embeddings",
}
"""Our key → the key of config.json."""

_REQUIRED = ("max_length", "layers", "heads", "dim", "ffn_dim")
_DERIVED = {"kv_heads": "key_value_heads", "head_dim": "head_width", "ffn_dim": "ffn_width"}

_READABLE: tuple[tuple[str, tuple[object, ...], str], ...] = (
    ("attention_bias", (None, False), "biases in its attention layers"),
    ("mlp_bias", (None, False), "biases in its feed-forward layers"),
    ("hidden_act", (None, "silu", "swish"), "an activation other than silu"),
    ("use_sliding_window", (None, False), "sliding-window attention"),
    ("quantization_config", (None,), "quantised weights"),
)
"""Key, the values that this architecture reads, what another value would mean."""

_FIXES = (
    "choose a Llama or Qwen3 model without it; SmolLM2, TinyLlama and Qwen3-0.6B are such",
    "or install a plugin whose architecture reads it: llm plugins list",
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """One tensor of theirs: its name and shape."""

    name: str
    shape: tuple[int, ...]


def to_hf_config(config: GPTConfig, vocab_size: int, dtype: torch.dtype) -> HFConfig:
    shape = {theirs: getattr(config, ours) for ours, theirs in _KEYS.items()}
    shape |= {_KEYS[ours]: getattr(config, width) for ours, width in _DERIVED.items()}
    dtype_name = str(dtype).removeprefix("torch.")
    return {
        "architectures": [_CLASSES[config.form]],
        "model_type": config.form,
        "vocab_size": vocab_size,
        **shape,
        # transformers 5 reads the second, 4 the first; the same holds for the two dtypes.
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "dtype": dtype_name,
        "torch_dtype": dtype_name,
        "attention_bias": False,
        "mlp_bias": False,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "use_cache": True,
        # Known to the tokenizer alone; left out, a Llama would take 1 and 2 for them.
        "bos_token_id": None,
        "eos_token_id": None,
    }


def from_hf_config(hf: HFConfig) -> tuple[GPTConfig, int]:
    """Config and vocabulary size.

    Raises:
        DataError: a form that this architecture does not read, or a config.json with gaps.
    """
    form = hf.get("model_type")
    if form not in _CLASSES:
        raise _unreadable("model_type", f"of the family '{form}', not llama or qwen3")
    for key, readable, meaning in _READABLE:
        if hf.get(key) not in readable:
            raise _unreadable(key, f"with {meaning} ({key} = {hf[key]!r})")
    if any(kind != "full_attention" for kind in hf.get("layer_types") or ()):
        raise _unreadable("layer_types", "with layers other than full attention")
    values = {ours: hf[key] for ours, key in _KEYS.items() if hf.get(key) is not None}
    for ours in _REQUIRED:
        if ours not in values:
            raise _damaged(_KEYS[ours], f"config.json lacks {_KEYS[ours]}")
    # What transformers assumes where the key is missing.
    missing = {"tied": False, "dropout": 0.0} | ({"head_dim": 128} if form == "qwen3" else {})
    vocab_size = hf.get("vocab_size")
    if not isinstance(vocab_size, int) or vocab_size < 1:
        raise _damaged("vocab_size", f"config.json gives vocab_size as {vocab_size!r}")
    return _config({**missing, **values, "form": form, "rope_theta": _rope_theta(hf)}), vocab_size


def _rope_theta(hf: HFConfig) -> object:
    """The base of plain rotary positions, from either generation of config.json."""
    rope = hf.get("rope_parameters") or hf.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise _unreadable("rope_scaling", f"with rotary positions scaled by '{kind}'")
    factor = rope.get("partial_rotary_factor", hf.get("partial_rotary_factor"))
    if factor not in (None, 1.0):
        raise _unreadable("partial_rotary_factor", f"that turns only {factor} of each head")
    return rope.get("rope_theta", hf.get("rope_theta", 10000.0))


def _config(values: Mapping[str, Any]) -> GPTConfig:
    """Validated, with what would follow by itself left out, as a person would write it."""
    try:
        config = GPTConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        ours = str(first["loc"][0]) if first["loc"] else "config.json"
        message = first["msg"].removeprefix("Value error, ")
        raise _damaged(_KEYS.get(ours, ours), f"config.json cannot be used: {message}") from error
    without = {ours: config.model_copy(update={ours: None}) for ours in _DERIVED}
    implied = [
        ours
        for ours, width in _DERIVED.items()
        if getattr(without[ours], width) == getattr(config, width)
    ]
    return config.model_copy(update=dict.fromkeys(implied))


def to_hf_tensors(
    config: GPTConfig, vocab_size: int, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Views of the state dict under their names."""
    tensors: dict[str, Tensor] = {}
    for ours, pieces in _layout(config, vocab_size).items():
        parts = torch.split(state[ours], [piece.shape[0] for piece in pieces])
        tensors.update(zip((piece.name for piece in pieces), parts, strict=True))
    return tensors


def from_hf_tensors(
    config: GPTConfig, vocab_size: int, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The state dict; fused matrices are new tensors, the others are shared.

    Raises:
        DataError: a tensor is missing, has another shape, or has no place in the model.
    """
    layout = _layout(config, vocab_size)
    _refuse_strangers(tensors, {piece.name for pieces in layout.values() for piece in pieces})
    state = {}
    for ours, pieces in layout.items():
        parts = [_take(tensors, piece) for piece in pieces]
        state[ours] = parts[0] if len(parts) == 1 else torch.cat(parts)
    return state


def _take(tensors: Mapping[str, Tensor], piece: _Piece) -> Tensor:
    tensor = tensors.get(piece.name)
    if tensor is None:
        raise _damaged(piece.name, f"the weights lack {piece.name}")
    if tuple(tensor.shape) != piece.shape:
        found, expected = list(tensor.shape), list(piece.shape)
        raise _damaged(piece.name, f"{piece.name} is {found}; config.json makes it {expected}")
    return tensor


def _refuse_strangers(tensors: Mapping[str, Tensor], known: set[str]) -> None:
    # Some files repeat the shared matrix, and old ones hold the rotary frequencies.
    allowed = known | {"lm_head.weight"}
    for name in sorted(tensors):
        if name not in allowed and not name.endswith(".rotary_emb.inv_freq"):
            raise _unreadable(name, f"with a tensor that has no place here, {name}")


def _layout(config: GPTConfig, vocab_size: int) -> dict[str, tuple[_Piece, ...]]:
    """Our parameter → the tensors of theirs that, stacked by rows, are it."""
    width = (config.dim,)
    layout: dict[str, tuple[_Piece, ...]] = {
        "embedding.weight": (_Piece("model.embed_tokens.weight", (vocab_size, *width)),)
    }
    for index in range(config.layers):
        for ours, pieces in _block_layout(config).items():
            layout[f"layers.{index}.{ours}.weight"] = tuple(
                _Piece(f"model.layers.{index}.{piece.name}.weight", piece.shape) for piece in pieces
            )
    layout["norm.weight"] = (_Piece("model.norm.weight", width),)
    if not config.tied:
        layout["lm_head.weight"] = (_Piece("lm_head.weight", (vocab_size, *width)),)
    return layout


def _block_layout(config: GPTConfig) -> dict[str, tuple[_Piece, ...]]:
    dim, ffn, head = config.dim, config.ffn_width, config.head_width
    queries, keys = config.heads * head, config.key_value_heads * head
    layout: dict[str, tuple[_Piece, ...]] = {
        "attention_norm": (_Piece("input_layernorm", (dim,)),),
        "attention.qkv": (
            _Piece("self_attn.q_proj", (queries, dim)),
            _Piece("self_attn.k_proj", (keys, dim)),
            _Piece("self_attn.v_proj", (keys, dim)),
        ),
        "attention.out": (_Piece("self_attn.o_proj", (dim, queries)),),
        "ffn_norm": (_Piece("post_attention_layernorm", (dim,)),),
        "ffn.gate_up": (_Piece("mlp.gate_proj", (ffn, dim)), _Piece("mlp.up_proj", (ffn, dim))),
        "ffn.down": (_Piece("mlp.down_proj", (dim, ffn)),),
    }
    if config.form == "qwen3":
        layout["attention.q_norm"] = (_Piece("self_attn.q_norm", (head,)),)
        layout["attention.k_norm"] = (_Piece("self_attn.k_norm", (head,)),)
    return layout


def _unreadable(where: str, what: str) -> DataError:
    return DataError(f"this is a model {what}, which gpt does not read", where=where, fixes=_FIXES)


def _damaged(where: str, what: str) -> DataError:
    fixes = ("fetch the model again: llm import", "or correct config.json by the model's card")
    return DataError(what, where=where, fixes=fixes)
