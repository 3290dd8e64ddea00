"""Between `GPTConfig` and config.json as Hugging Face's Qwen3, Llama and GPT-2 have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from pydantic import ValidationError

from create_llm.errors import DataError
from create_llm.models.architecture import HFConfig
from create_llm_gpt.config import GPTConfig
from create_llm_gpt.forms import FORMS

_DERIVED = {"kv_heads": "key_value_heads", "head_dim": "head_width", "ffn_dim": "ffn_width"}
"""Keys that may be left out → the property that says what then holds."""


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How a family's config.json says what `GPTConfig` says.

    Attributes:
        model_class: of transformers.
        keys: our key → theirs; all of them are written, the first is read.
        required: our keys without which config.json has gaps.
        assumed: what transformers takes where a key is missing.
        written: what holds for every model of this architecture.
        readable: their key, the values that this architecture reads, what another would mean.
        aliases: another name that transformers takes for a key of theirs → that key.
    """

    model_class: str
    keys: Mapping[str, tuple[str, ...]]
    required: tuple[str, ...]
    assumed: Mapping[str, object]
    written: Mapping[str, object]
    readable: tuple[tuple[str, tuple[object, ...], str], ...]
    aliases: Mapping[str, str] = field(default_factory=dict)


_EVERYWHERE: tuple[tuple[str, tuple[object, ...], str], ...] = (
    ("is_causal", (None, True), "attention in both directions"),
    ("per_layer_config", (None,), "layers that differ from each other"),
    ("quantization_config", (None,), "quantised weights"),
)

_LLAMA = _Dialect(
    model_class="LlamaForCausalLM",
    keys={
        "max_length": ("max_position_embeddings",),
        "layers": ("num_hidden_layers",),
        "heads": ("num_attention_heads",),
        "kv_heads": ("num_key_value_heads",),
        "dim": ("hidden_size",),
        "head_dim": ("head_dim",),
        "ffn_dim": ("intermediate_size",),
        "dropout": ("resid_pdrop",),  # GPT-2's name; the Llama and Qwen3 classes leave it unused
        "attention_dropout": ("attention_dropout",),
        "norm_eps": ("rms_norm_eps",),
        "tied": ("tie_word_embeddings",),
    },
    required=("max_length", "layers", "heads", "dim", "ffn_dim"),
    assumed={"tied": False, "dropout": 0.0},
    written={"attention_bias": False, "mlp_bias": False, "hidden_act": "silu"},
    readable=(
        ("attention_bias", (None, False), "biases in its attention layers"),
        ("mlp_bias", (None, False), "biases in its feed-forward layers"),
        ("hidden_act", (None, "silu", "swish"), "an activation other than silu"),
        ("use_sliding_window", (None, False), "sliding-window attention"),
        *_EVERYWHERE,
    ),
)

_GPT2 = _Dialect(
    model_class="GPT2LMHeadModel",
    keys={
        "max_length": ("n_positions", "n_ctx"),  # the second for llama.cpp
        "layers": ("n_layer",),
        "heads": ("n_head",),
        "dim": ("n_embd",),
        "ffn_dim": ("n_inner",),
        "dropout": ("resid_pdrop", "embd_pdrop"),
        "attention_dropout": ("attn_pdrop",),
        "norm_eps": ("layer_norm_epsilon",),
        "tied": ("tie_word_embeddings",),
    },
    required=("max_length", "layers", "heads", "dim"),
    assumed={"tied": True, "dropout": 0.1, "attention_dropout": 0.1, "norm_eps": 1e-5},
    written={
        "activation_function": "gelu_new",
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "reorder_and_upcast_attn": False,
        "add_cross_attention": False,
    },
    readable=(
        ("activation_function", (None, "gelu_new"), "an activation other than gelu_new"),
        ("scale_attn_weights", (None, True), "attention scores that are not scaled"),
        ("scale_attn_by_inverse_layer_idx", (None, False), "attention scaled layer by layer"),
        ("reorder_and_upcast_attn", (None, False), "attention reordered and upcast"),
        ("add_cross_attention", (None, False), "attention to a second model"),
        *_EVERYWHERE,
    ),
    aliases={
        "max_position_embeddings": "n_positions",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "hidden_size": "n_embd",
    },
)

_DIALECTS: Mapping[str, _Dialect] = {
    "qwen3": replace(
        _LLAMA, model_class="Qwen3ForCausalLM", assumed={**_LLAMA.assumed, "head_dim": 128}
    ),
    "llama": _LLAMA,
    "gpt2": _GPT2,
}

_FIXES = (
    "choose a GPT-2, Llama or Qwen3 model without it; gpt2, SmolLM2, TinyLlama and Qwen3-0.6B "
    "are such",
    "or install a plugin whose architecture reads it: llm plugins list",
)


def to_hf_config(config: GPTConfig, vocab_size: int, dtype: torch.dtype) -> HFConfig:
    dialect = _DIALECTS[config.form]
    dtype_name = str(dtype).removeprefix("torch.")
    return {
        "architectures": [dialect.model_class],
        "model_type": config.form,
        "vocab_size": vocab_size,
        **{
            theirs: getattr(config, _DERIVED.get(ours, ours))
            for ours, names in dialect.keys.items()
            for theirs in names
        },
        **dialect.written,
        **_written_rotation(config),
        # transformers 5 reads the first, 4 the second.
        "dtype": dtype_name,
        "torch_dtype": dtype_name,
        "initializer_range": 0.02,
        "use_cache": True,
        # Known to the tokenizer alone; left out, transformers would take its family's own.
        "bos_token_id": None,
        "eos_token_id": None,
    }


def from_hf_config(hf: HFConfig) -> tuple[GPTConfig, int]:
    """Config and vocabulary size.

    Raises:
        DataError: a form that this architecture does not read, or a config.json with gaps.
    """
    form = str(hf.get("model_type"))
    if form not in _DIALECTS:
        raise unreadable("model_type", f"of the family '{form}', not {', '.join(_DIALECTS)}")
    dialect = _DIALECTS[form]
    for key, readable, meaning in dialect.readable:
        if hf.get(key) not in readable:
            raise unreadable(key, f"with {meaning} ({key} = {hf[key]!r})")
    for alias, key in dialect.aliases.items():
        if alias in hf and hf[alias] != hf.get(key):
            raise unreadable(alias, f"whose {alias} and {key} differ")
    found = {ours: hf.get(names[0]) for ours, names in dialect.keys.items()}
    for ours in dialect.required:
        if found[ours] is None:
            theirs = dialect.keys[ours][0]
            raise damaged(theirs, f"config.json lacks {theirs}")
    values = {ours: value for ours, value in found.items() if value is not None}
    config = _config(dialect, {**dialect.assumed, **values, "form": form, **_read_rotation(hf)})
    return config, _vocab_size(hf)


def _vocab_size(hf: HFConfig) -> int:
    vocab_size = hf.get("vocab_size")
    if not isinstance(vocab_size, int) or vocab_size < 1:
        raise damaged("vocab_size", f"config.json gives vocab_size as {vocab_size!r}")
    return vocab_size


def _written_rotation(config: GPTConfig) -> HFConfig:
    if config.parts.positions != "rotary":
        return {}
    # transformers 5 reads the second, 4 the first.
    return {
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
    }


def _read_rotation(hf: HFConfig) -> HFConfig:
    """The base of plain rotary positions, from either generation of config.json."""
    if FORMS[hf["model_type"]].positions != "rotary":
        return {}
    kinds = hf.get("layer_types") or []
    if not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
        raise unreadable("layer_types", "with layers other than full attention")
    said = [_plain_rotation(hf, key) for key in ("rope_scaling", "rope_parameters")]
    rope = said[0] or said[1]  # where there are both, transformers takes the older key
    factor = rope.get("partial_rotary_factor", hf.get("partial_rotary_factor"))
    if factor not in (None, 1.0):
        raise unreadable("partial_rotary_factor", f"that turns only {factor} of each head")
    return {"rope_theta": rope.get("rope_theta", hf.get("rope_theta", 10000.0))}


def _plain_rotation(hf: HFConfig, key: str) -> HFConfig:
    rope = hf.get(key) or {}
    if not isinstance(rope, dict) or any(isinstance(value, dict) for value in rope.values()):
        raise unreadable(key, f"with rotary positions that are not the same everywhere ({key})")
    for kind in (rope.get("rope_type"), rope.get("type")):
        if kind not in (None, "default"):
            raise unreadable(key, f"with rotary positions scaled by '{kind}'")
    return rope


def _config(dialect: _Dialect, values: Mapping[str, Any]) -> GPTConfig:
    """Validated, with what would follow by itself left out, as a person would write it."""
    try:
        config = GPTConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        ours = str(first["loc"][0]) if first["loc"] else "config.json"
        theirs = dialect.keys.get(ours, (ours,))[0]
        message = first["msg"].removeprefix("Value error, ")
        raise damaged(theirs, f"config.json cannot be used: {message}") from error
    without = {ours: config.model_copy(update={ours: None}) for ours in _DERIVED}
    implied = [
        ours
        for ours, width in _DERIVED.items()
        if getattr(without[ours], width) == getattr(config, width)
    ]
    return config.model_copy(update=dict.fromkeys(implied))


def unreadable(where: str, what: str) -> DataError:
    return DataError(f"this is a model {what}, which gpt does not read", where=where, fixes=_FIXES)


def damaged(where: str, what: str) -> DataError:
    fixes = ("fetch the model again: llm import", "or correct config.json by the model's card")
    return DataError(what, where=where, fixes=fixes)
