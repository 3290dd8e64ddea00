"""The architecture named ``gpt``: what the core asks of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from create_llm.models.architecture import Cache, CausalLM, HFConfig, ParamGroups, on_meta
from create_llm_gpt.cache import KeyValueCache, gathered
from create_llm_gpt.config import GPTConfig
from create_llm_gpt.hf import from_hf_config, to_hf_config
from create_llm_gpt.hf_tensors import from_hf_tensors, to_hf_tensors
from create_llm_gpt.model import GPTModel
from create_llm_gpt.one_token import decode_one, plan_of

_RESIDUAL_OUTPUTS = ("attention.out.weight", "ffn.down.weight")
_STANDARD_DEVIATION = 0.02


class GPT(CausalLM):
    """A decoder-only transformer with a key-value cache, on disk as Qwen3, Llama or GPT-2."""

    config_class: ClassVar[type[BaseModel]] = GPTConfig
    capabilities = CausalLM.capabilities | {"isolated"}

    def build(self, config: GPTConfig, vocab_size: int) -> GPTModel:
        return GPTModel(config, vocab_size)

    def init(self, module: nn.Module, seed: int) -> None:
        """Normal, 0.02; what adds to the residual stream is smaller by sqrt(2 · layers), so that
        the stream's variance does not grow with depth (GPT-2). Biases zero, norms one.

        Drawn on the CPU in the parameters' order, hence equal on every device.
        """
        generator = torch.Generator().manual_seed(seed)
        residual = _STANDARD_DEVIATION / (2 * len(self.blocks(module))) ** 0.5
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if parameter.ndim < 2:
                    parameter.fill_(0.0 if name.endswith("bias") else 1.0)
                    continue
                deviation = residual if name.endswith(_RESIDUAL_OUTPUTS) else _STANDARD_DEVIATION
                values = torch.empty(parameter.shape).normal_(0.0, deviation, generator=generator)
                parameter.copy_(values)

    def param_groups(self, module: nn.Module) -> ParamGroups:
        """An untied head counts as an embedding: it is sized by the vocabulary, as they are."""
        groups = super().param_groups(module)
        head = _gpt(module).lm_head
        if head is None:
            return groups
        matrices = tuple(p for p in groups.matrices if p is not head.weight)
        return ParamGroups(matrices, (*groups.embeddings, *head.parameters()), groups.norms)

    def flops(self, config: GPTConfig, vocab_size: int, length: int) -> float:
        """6 per weight that multiplies a token, the head among them (Kaplan et al. 2020,
        2001.08361), and 6 · layers · width · length for attention: PaLM (2204.02311, appendix B)
        counts 12, but a causal token sees half of the others on average. Learned positions are
        looked up, however many they are.
        """
        with on_meta():
            matrices = self.param_groups(self.build(config, vocab_size)).matrices
        weights = sum(matrix.numel() for matrix in matrices) + vocab_size * config.dim
        return 6.0 * (weights + config.layers * config.heads * config.head_width * length)

    def new_cache(self, module: nn.Module, batch: int, length: int) -> KeyValueCache:
        """
        Raises:
            ValueError: `length` exceeds the model's `max_length`.
        """
        model = _gpt(module)
        config, weight = model.config, model.embedding.weight
        if length > config.max_length:
            raise ValueError(f"a cache of {length} tokens exceeds max_length {config.max_length}")
        shape = (config.layers, batch, config.key_value_heads, length, config.head_width)
        cache = KeyValueCache(weight.new_empty(shape), weight.new_empty(shape))
        cache.plan = None if torch.is_autocast_enabled("cpu") else plan_of(model, length)
        return cache

    @torch.no_grad()
    def decode(self, module: nn.Module, tokens: Tensor, cache: Cache) -> Tensor:
        """
        Raises:
            ValueError: the tokens do not fit the cache; what then goes is the caller's choice.
        """
        model, kept = _gpt(module), _kept(cache)
        if kept.plan is not None and tokens.shape[1] == 1:
            model.check_room(kept.length + 1, kept)
            return decode_one(kept.plan, tokens[:, 0], kept)
        hidden = model(tokens, kept).hidden
        return model.project(hidden[:, -1])

    def gather(self, rows: Sequence[tuple[Cache, int]]) -> KeyValueCache:
        return gathered([(_kept(cache), row) for cache, row in rows])

    def to_hf(
        self, config: GPTConfig, vocab_size: int, state: Mapping[str, Tensor]
    ) -> tuple[HFConfig, dict[str, Tensor]]:
        dtype = state["embedding.weight"].dtype
        tensors = to_hf_tensors(config, vocab_size, state)
        return to_hf_config(config, vocab_size, dtype), tensors

    def from_hf(
        self, hf_config: HFConfig, tensors: Mapping[str, Tensor]
    ) -> tuple[GPTConfig, int, dict[str, Tensor]]:
        config, vocab_size = from_hf_config(hf_config)
        return config, vocab_size, from_hf_tensors(config, vocab_size, tensors)


def _gpt(module: nn.Module) -> GPTModel:
    assert isinstance(module, GPTModel)
    return module


def _kept(cache: Cache) -> KeyValueCache:
    assert isinstance(cache, KeyValueCache)
    return cache
