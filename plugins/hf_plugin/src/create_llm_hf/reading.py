"""config.json and weights of others, looked at before transformers makes a model of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
)

from create_llm.errors import CreateLLMError, DataError
from create_llm.models.architecture import HFConfig
from create_llm.models.quiet import quiet_transformers
from create_llm_hf.architecture_config import TransformersConfig

OTHERS = (
    "see whether a newer transformers reads it: pip install --upgrade transformers",
    "or choose another model: GPT-2, Llama and Qwen3 run without transformers",
)
_AGAIN = ("fetch the model again: llm import", "or take another revision of it")
_COUNTS = ("layer", "layers", "blocks", "experts")
"""How keys end that say how many modules are built."""
_ALWAYS = 1000
"""As many are built whatever the weights hold: config.json also counts what is not in use."""


@contextlib.contextmanager
def in_words(kind: str) -> Iterator[None]:
    """What transformers raises about a model of others, each class in its own way, as words."""
    try:
        yield
    except (CreateLLMError, MemoryError):
        raise
    except Exception as error:
        raise DataError(
            f"transformers cannot build this model of the kind '{kind}': {_said(error)}",
            where="config.json",
            fixes=OTHERS,
        ) from error


def their_config(config: TransformersConfig, vocab_size: int | None) -> PreTrainedConfig:
    """
    Raises:
        DataError: transformers has no such kind, or not with these values.
    """
    quiet_transformers()
    kind = config.hf["model_type"]
    sized = {} if vocab_size is None else {"vocab_size": vocab_size}
    try:
        theirs: PreTrainedConfig = AutoConfig.for_model(
            kind, **{k: v for k, v in config.hf.items() if k != "model_type"}, **sized
        )
    except Exception as error:  # each configuration checks itself in its own way
        own = "; it brings code of its own, which is not run" if "auto_map" in config.hf else ""
        raise DataError(
            f"transformers does not read a model of the kind '{kind}'{own}: {_said(error)}",
            where="config.json",
            fixes=OTHERS,
        ) from error
    _refuse_two_answers(config.hf, theirs)
    return theirs


def class_of(theirs: PreTrainedConfig) -> Any:
    if type(theirs) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise _not_causal(f"of the kind '{theirs.model_type}'")
    if _is_encoder(theirs):
        raise _not_causal(f"of the kind '{theirs.model_type}' that is not set up as a decoder")
    return MODEL_FOR_CAUSAL_LM_MAPPING[type(theirs)]


def _is_encoder(theirs: PreTrainedConfig) -> bool:
    """Families that guess masked tokens are built as causal models too, and see what comes after a
    token all the same unless their config.json says is_decoder."""
    both = type(theirs) in MODEL_FOR_MASKED_LM_MAPPING and not theirs.is_encoder_decoder
    return both and not getattr(theirs, "is_decoder", True)


def _not_causal(which: str) -> DataError:
    return DataError(
        f"a model {which} does not continue texts in transformers",
        where="config.json",
        fixes=OTHERS,
    )


def refuse_endless(hf: HFConfig, tensors: Mapping[str, Tensor]) -> None:
    """A layer has weights of its own: more layers than tensors would be built in vain, for as long
    as the number says.

    Raises:
        DataError: config.json counts more than there can be.
    """
    most = max(len(tensors), _ALWAYS)
    for key, value in _numbers(hf):
        if key.rpartition("_")[2] in _COUNTS and value > most:
            raise DataError(
                f"config.json says {key} = {value}, and the weights are {len(tensors)} tensors",
                where=key,
                fixes=_AGAIN,
            )


def refuse_larger(planned: PreTrainedModel, tensors: Mapping[str, Tensor]) -> None:
    """Before memory is asked for: what is missing would be filled in.

    Raises:
        DataError: the weights are fewer than the model has.
    """
    needed = sum(parameter.numel() for parameter in planned.parameters())
    held = sum(tensor.numel() for tensor in tensors.values())
    if needed > held:
        raise not_its_weights(
            f"config.json describes {needed:,} parameters, and the files hold {held:,}", planned
        )


def refuse_others(loading: Mapping[str, Any], model: PreTrainedModel) -> None:
    """
    Raises:
        DataError: tensors are missing, do not fit, or are left over.
    """
    reasons = {
        "missing_keys": "the files lack",
        "mismatched_keys": "another size in the files than config.json says:",
        "unexpected_keys": "there is no place for",
        "error_msgs": "",
    }
    for reason, words in reasons.items():
        if found := loading[reason]:
            # Of those that do not fit the sizes are told too.
            names = sorted(each if isinstance(each, str) else str(each[0]) for each in found)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise not_its_weights(f"{words} {', '.join(names[:3])}{more}", model)


def not_its_weights(what: str, model: PreTrainedModel) -> DataError:
    return DataError(
        f"the weights are not those of this model: {what.strip()}",
        where=str(model.config.model_type),
        fixes=_AGAIN,
    )


def shared(model: PreTrainedModel) -> list[list[str]]:
    """The names of each tensor of the state dict; those of a tied one stand together."""
    groups: dict[int, list[str]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        groups.setdefault(id(tensor), []).append(name)
    return list(groups.values())


def agrees(planned: PreTrainedModel, state: Mapping[str, Tensor]) -> bool:
    """Whether tensors that config.json ties are equal in the weights."""
    return all(
        torch.equal(state[first], state[other])
        for first, *others in shared(planned)
        for other in others
    )


def _refuse_two_answers(hf: HFConfig, theirs: PreTrainedConfig) -> None:
    for other, key in theirs.attribute_map.items():
        if other in hf and key in hf and hf[other] != hf[key]:
            raise DataError(
                f"config.json says both {key} = {hf[key]!r} and {other} = {hf[other]!r}, "
                "which are the same thing",
                where=key,
                fixes=_AGAIN,
            )


def _numbers(hf: HFConfig) -> Iterator[tuple[str, float]]:
    for key, value in hf.items():
        if isinstance(value, dict):
            yield from _numbers(value)
        elif isinstance(value, int | float):
            yield key, value


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
