"""Models of transformers, run by transformers: for what no architecture of ours reads.

Nothing but the library's own classes: code that comes with a model is never run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion

from create_llm.errors import DataError
from create_llm.models.architecture import (
    Cache,
    CausalLM,
    HFConfig,
    ModelOutput,
    ParamGroups,
    on_meta,
)
from create_llm_hf.architecture_config import TransformersConfig
from create_llm_hf.reading import (
    OTHERS,
    agrees,
    class_of,
    in_words,
    not_its_weights,
    refuse_endless,
    refuse_larger,
    refuse_others,
    shared,
    their_config,
)

_PREFIX = "model."
_SAID_APART = ("architectures", "vocab_size", "dtype", "torch_dtype", "transformers_version")


class Wrapped(nn.Module):
    """A causal language model of transformers, with the forward that core calls."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> ModelOutput:
        """
        Args:
            tokens: int64 [batch, length].

        Returns:
            The logits as `hidden`: many models scale or bound what their head gives, so that the
            head alone would be another model.
        """
        return ModelOutput(self.model(input_ids=tokens, use_cache=False).logits, _as_they_are)


@dataclass(slots=True)
class _Kept:
    past: DynamicCache
    length: int = 0


class TransformersCausalLM(CausalLM):
    """Any class of transformers' AutoModelForCausalLM."""

    config_class: ClassVar[type[BaseModel]] = TransformersConfig

    def build(self, config: TransformersConfig, vocab_size: int) -> Wrapped:
        return Wrapped(_fresh(config, vocab_size))

    def init(self, module: nn.Module, seed: int) -> None:
        """As the class initialises itself, on the CPU. What is computed and not learnt (rotary
        frequencies) is filled in too."""
        model = _wrapped(module).model
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            with torch.device("cpu"):
                fresh = type(model)(model.config)
            pairs = (
                (model.named_parameters(), dict(fresh.named_parameters())),
                (model.named_buffers(), dict(fresh.named_buffers())),
            )
            for tensors, values in pairs:
                for name, tensor in tensors:
                    tensor.copy_(values[name])

    def blocks(self, module: nn.Module) -> list[nn.Module]:
        """The longest list of layers in it."""
        lists = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
        return list(max(lists, key=len, default=()))

    def param_groups(self, module: nn.Module) -> ParamGroups:
        """An untied head counts as an embedding: it is sized by the vocabulary, as they are."""
        groups = super().param_groups(module)
        head = _wrapped(module).model.get_output_embeddings()  # type: ignore[no-untyped-call]
        heads = [p for p in groups.matrices if head is not None and p is head.weight]
        matrices = tuple(p for p in groups.matrices if not any(p is each for each in heads))
        return ParamGroups(matrices, (*groups.embeddings, *heads), groups.norms)

    def new_cache(self, module: nn.Module, batch: int, length: int) -> Cache:
        model = _wrapped(module).model
        if model._is_stateful:  # recurrent: what it keeps is of a kind of its own
            return super().new_cache(module, batch, length)
        return _Kept(DynamicCache(config=model.config))

    @torch.no_grad()
    def decode(self, module: nn.Module, tokens: Tensor, cache: Cache) -> Tensor:
        if not isinstance(cache, _Kept):
            return super().decode(module, tokens, cache)
        model = _wrapped(module).model
        output = model(input_ids=tokens, past_key_values=cache.past, use_cache=True)
        cache.length += tokens.shape[1]
        logits: Tensor = output.logits[:, -1]
        return logits

    def gather(self, rows: Sequence[tuple[Cache, int]]) -> Cache | None:
        if any(isinstance(cache, _Kept) for cache, _ in rows):
            return None
        return super().gather(rows)

    def to_hf(
        self, config: TransformersConfig, vocab_size: int, state: Mapping[str, Tensor]
    ) -> tuple[HFConfig, dict[str, Tensor]]:
        model = _on_meta(config, vocab_size)
        names = {name.removeprefix(_PREFIX): tensor for name, tensor in state.items()}
        first = [group[0] for group in shared(model)]
        kept = {name: names[name] for name in first}
        tensors = revert_weight_conversion(model, kept)
        dtype = str(next(iter(kept.values())).dtype).removeprefix("torch.")
        said = {
            "architectures": [type(model).__name__],
            "vocab_size": vocab_size,
            "dtype": dtype,
            "torch_dtype": dtype,  # for transformers 4
        }
        return {**config.hf, **said}, dict(tensors)

    def from_hf(
        self, hf_config: HFConfig, tensors: Mapping[str, Tensor]
    ) -> tuple[TransformersConfig, int, dict[str, Tensor]]:
        refuse_endless(hf_config, tensors)
        hf = {key: value for key, value in hf_config.items() if key not in _SAID_APART}
        config = _validated(hf)
        theirs = their_config(config, hf_config.get("vocab_size"))
        with in_words(theirs.model_type):
            vocab_size = theirs.get_text_config().vocab_size
            refuse_larger(_on_meta(config, vocab_size), tensors)
            found = _loaded(theirs, tensors)
            config = _as_tied(config, vocab_size, found)
        return config, vocab_size, {f"{_PREFIX}{name}": each for name, each in found.items()}


def _as_they_are(logits: Tensor) -> Tensor:
    return logits


def _wrapped(module: nn.Module) -> Wrapped:
    assert isinstance(module, Wrapped)
    return module


def _fresh(config: TransformersConfig, vocab_size: int) -> PreTrainedModel:
    theirs = their_config(config, vocab_size)
    model: PreTrainedModel = class_of(theirs)(theirs)
    return model


def _on_meta(config: TransformersConfig, vocab_size: int) -> PreTrainedModel:
    with on_meta():
        return _fresh(config, vocab_size)


def _validated(hf: HFConfig) -> TransformersConfig:
    try:
        return TransformersConfig(hf=hf)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise DataError(f"config.json cannot be used: {said}", fixes=OTHERS) from error


def _loaded(theirs: PreTrainedConfig, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state dict as transformers reads it: of older names and of experts one by one too."""
    model, loading = class_of(theirs).from_pretrained(
        None,
        config=theirs,
        state_dict=dict(tensors),
        dtype=next((t.dtype for t in tensors.values() if t.is_floating_point()), None),
        ignore_mismatched_sizes=True,  # they are told, and refused here
        output_loading_info=True,
    )
    refuse_others(loading, model)
    state: Mapping[str, Tensor] = model.state_dict()
    return state


def _as_tied(
    config: TransformersConfig, vocab_size: int, state: Mapping[str, Tensor]
) -> TransformersConfig:
    """Where config.json ties matrices that differ, transformers leaves them apart: that is the
    model, and config.json is to say so."""
    for said in (config, config.untied()):
        planned = _on_meta(said, vocab_size)
        if agrees(planned, state):
            return said
    raise not_its_weights("config.json ties tensors that differ", planned)
