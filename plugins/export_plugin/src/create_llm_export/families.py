"""The families of models that go into GGUF, as their config.json has them.

In two of them llama.cpp reads tensors otherwise than transformers writes them: GPT-2's projections
lie the other way round, and Llama's rotary positions turn neighbouring numbers rather than the two
halves of a head (https://github.com/ggml-org/llama.cpp, convert_hf_to_gguf.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from create_llm.errors import ConfigError
from create_llm.models.card import only_reads

HFConfig = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Family:
    """How one family's config.json and tensors are to be read.

    Attributes:
        keys: key of GGUF, below the family's name → theirs. All hold numbers.
        turned: ends of the names of tensors that are stored [in, out].
        halves: ends of names of projections whose heads are in halves, and the key that says how
            many heads.
        positions: name of the learned positions; None where they are rotary.
    """

    keys: Mapping[str, str]
    turned: tuple[str, ...] = ()
    halves: Mapping[str, str] | None = None
    positions: str | None = None


_ROTARY = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.value_length": "head_dim",
    "rope.dimension_count": "head_dim",
    "rope.freq_base": "rope_theta",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}
_GPT2 = {
    "block_count": "n_layer",
    "context_length": "n_positions",
    "embedding_length": "n_embd",
    "feed_forward_length": "n_inner",
    "attention.head_count": "n_head",
    "attention.layer_norm_epsilon": "layer_norm_epsilon",
}

FAMILIES: Mapping[str, Family] = {
    "qwen3": Family(_ROTARY),
    "llama": Family(
        _ROTARY,
        halves={
            "q_proj.weight": "num_attention_heads",
            "k_proj.weight": "num_key_value_heads",
        },
    ),
    "gpt2": Family(
        _GPT2,
        turned=("c_attn.weight", "c_proj.weight", "c_fc.weight"),
        positions="wpe.weight",
    ),
}

_PLAIN: Mapping[str, tuple[object, ...]] = {
    "attention_bias": (None, False),
    "mlp_bias": (None, False),
    "hidden_act": (None, "silu", "swish"),
    "use_sliding_window": (None, False),
    "partial_rotary_factor": (None, 1.0),
    "activation_function": (None, "gelu_new"),
    "scale_attn_weights": (None, True),
    "scale_attn_by_inverse_layer_idx": (None, False),
    "is_causal": (None, True),
    "per_layer_config": (None,),
    "quantization_config": (None,),
}
"""What llama.cpp takes for granted: keys of config.json that may say nothing else."""
_MOST = 2**32


def family_of(hf: HFConfig) -> tuple[str, Family]:
    """Name and family of a model.

    Raises:
        ConfigError: it is of none of them, or differs from what the family has.
    """
    name = str(hf.get("model_type"))
    if name not in FAMILIES:
        raise _not(
            f"llama.cpp's form takes models of the families {_listed(list(FAMILIES))} from here, "
            f"and not '{name}'",
            hf,
        )
    family = FAMILIES[name]
    for key in ("rope_scaling", "rope_parameters"):
        _refuse_scaled(hf, key)
    strange = [f"{key} = {hf[key]!r}" for key, usual in _PLAIN.items() if hf.get(key) not in usual]
    if strange:
        raise _not(f"llama.cpp has no {name} models with {_listed(strange)}", hf)
    missing = sorted({key for key in family.keys.values() if hf.get(key) is None})
    if missing:
        raise _not(f"config.json does not say {_listed(missing)}", hf)
    large = sorted({f"{key} = {hf[key]}" for key in family.keys.values() if not hf[key] < _MOST})
    if large:
        raise _not(f"GGUF counts in 32 bits, and config.json says {_listed(large)}", hf)
    return name, family


def as_it_is(hf: HFConfig) -> str:
    """The verb of ours that a model goes into unchanged, as a line of advice."""
    named = hf.get("architectures") or []
    writes = bool(named) and not only_reads(str(named[0]))
    return f"use it as it is: llm {'generate' if writes else 'evaluate'}"


def _refuse_scaled(hf: HFConfig, key: str) -> None:
    rope = hf.get(key) or {}
    if not isinstance(rope, dict):
        raise _not(f"{key} is no table", hf)
    for kind in (rope.get("rope_type"), rope.get("type")):
        if kind not in (None, "default"):
            raise _not(f"rotary positions scaled by '{kind}' are not converted", hf)
    theta = rope.get("rope_theta")
    if theta is not None and theta != hf.get("rope_theta", theta):
        raise _not(f"{key} and config.json itself say another rope_theta", hf)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _not(what: str, hf: HFConfig) -> ConfigError:
    return ConfigError(
        what,
        where="config.json",
        fixes=("export it for transformers: --to hf", as_it_is(hf)),
    )
