"""Between this architecture's configuration and config.json of Hugging Face's BertForMaskedLM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError

from create_llm.errors import DataError
from create_llm.models.architecture import HFConfig
from create_llm_bert.config import BERTConfig
from create_llm_bert.model import TOKEN_TYPES

_KEYS = {
    "max_length": "max_position_embeddings",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "dim": "hidden_size",
    "ffn_dim": "intermediate_size",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "norm_eps": "layer_norm_eps",
}
"""Our key → the key of config.json."""

_REQUIRED = ("max_length", "layers", "heads", "dim", "ffn_dim")
_ASSUMED = {"dropout": 0.1, "attention_dropout": 0.1, "norm_eps": 1e-12}
"""What transformers takes where config.json lacks a key."""

_READABLE: tuple[tuple[str, tuple[object, ...], str], ...] = (
    ("model_type", ("bert",), "of another family than bert"),
    ("hidden_act", (None, "gelu"), "with another activation than the exact gelu"),
    ("position_embedding_type", (None, "absolute"), "with relative positions"),
    ("is_decoder", (None, False), "that reads from left to right only"),
    ("add_cross_attention", (None, False), "that attends to a second model"),
    ("type_vocab_size", (None, TOKEN_TYPES), f"with other than {TOKEN_TYPES} token types"),
    ("tie_word_embeddings", (None, True), "whose head has a matrix of its own"),
    ("quantization_config", (None,), "with quantised weights"),
)
"""Key, the values that this architecture reads, what another value would mean."""

_FIXES = (
    "choose a BERT without it; bert-base-uncased and bert-base-multilingual-cased are such",
    "or install a plugin whose architecture reads it: llm plugins list",
)


def to_hf_config(config: BERTConfig, vocab_size: int, dtype: torch.dtype) -> HFConfig:
    dtype_name = str(dtype).removeprefix("torch.")
    return {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        "vocab_size": vocab_size,
        **{theirs: getattr(config, ours) for ours, theirs in _KEYS.items()},
        _KEYS["ffn_dim"]: config.ffn_width,
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "type_vocab_size": TOKEN_TYPES,
        "is_decoder": False,
        "tie_word_embeddings": True,
        "initializer_range": 0.02,
        # transformers 5 reads the first, 4 the second.
        "dtype": dtype_name,
        "torch_dtype": dtype_name,
        # Known to the tokenizer alone; left out, transformers would take 0 for it.
        "pad_token_id": None,
    }


def from_hf_config(hf: HFConfig) -> tuple[BERTConfig, int]:
    """Config and vocabulary size.

    Raises:
        DataError: a form that this architecture does not read, or a config.json with gaps.
    """
    for key, readable, meaning in _READABLE:
        if hf.get(key) not in readable:
            raise unreadable(key, f"{meaning} ({key} = {hf.get(key)!r})")
    values = {ours: hf[key] for ours, key in _KEYS.items() if hf.get(key) is not None}
    for ours in _REQUIRED:
        if ours not in values:
            raise damaged(_KEYS[ours], f"config.json lacks {_KEYS[ours]}")
    vocab_size = hf.get("vocab_size")
    if not isinstance(vocab_size, int) or vocab_size < 1:
        raise damaged("vocab_size", f"config.json gives vocab_size as {vocab_size!r}")
    return _config({**_ASSUMED, **values}), vocab_size


def _config(values: Mapping[str, Any]) -> BERTConfig:
    """Validated, with what would follow by itself left out, as a person would write it."""
    try:
        config = BERTConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        ours = str(first["loc"][0]) if first["loc"] else "config.json"
        message = first["msg"].removeprefix("Value error, ")
        raise damaged(_KEYS.get(ours, ours), f"config.json cannot be used: {message}") from error
    implied = config.model_copy(update={"ffn_dim": None})
    return implied if implied.ffn_width == config.ffn_width else config


def unreadable(where: str, what: str) -> DataError:
    return DataError(f"this is a model {what}, which bert does not read", where=where, fixes=_FIXES)


def damaged(where: str, what: str) -> DataError:
    fixes = ("fetch the model again: llm import", "or correct config.json by the model's card")
    return DataError(what, where=where, fixes=fixes)
