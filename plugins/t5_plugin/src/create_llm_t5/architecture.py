"""The architecture named ``t5``: what the core asks of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from create_llm.models.architecture import Cache, Decoder, HFConfig, ParamGroups
from create_llm_t5.config import T5Config
from create_llm_t5.hf import from_hf_config, from_hf_tensors, to_hf_config, to_hf_tensors
from create_llm_t5.layers import LayerCache
from create_llm_t5.model import DecoderCache, T5Model


class T5(Decoder):
    """An encoder-decoder that keeps keys and values while it writes, on disk in the T5 form."""

    config_class: ClassVar[type[BaseModel]] = T5Config
    capabilities = frozenset({"seq2seq", "generate"})
    default_objective = "span"

    def build(self, config: T5Config, vocab_size: int) -> T5Model:
        return T5Model(config, vocab_size)

    def init(self, module: nn.Module, seed: int) -> None:
        """T5's: normal, 1 / sqrt(inputs), so that what each matrix puts out is of size 1; queries
        smaller by sqrt(head_dim), in place of scaled scores; embeddings of size 1.

        Drawn on the CPU in the parameters' order, hence equal on every device.
        """
        model, generator = _t5(module), torch.Generator().manual_seed(seed)
        width, inner = model.config.head_width, model.config.inner_width
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if parameter.ndim < 2:
                    parameter.fill_(1.0)
                    continue
                deviation = (
                    1.0 if parameter is model.embedding.weight else parameter.shape[1] ** -0.5
                )
                if name.endswith("position_bias.weight"):
                    deviation = model.config.dim**-0.5
                values = torch.empty(parameter.shape).normal_(0.0, deviation, generator=generator)
                if name.endswith(("attention.qkv.weight", "cross.q.weight")):
                    values[:inner] *= width**-0.5
                parameter.copy_(values)

    def blocks(self, module: nn.Module) -> list[nn.Module]:
        model = _t5(module)
        return [*model.encoder.layers, *model.decoder.layers]

    def param_groups(self, module: nn.Module) -> ParamGroups:
        """An untied head counts as an embedding: it is sized by the vocabulary, as they are."""
        groups = super().param_groups(module)
        head = _t5(module).lm_head
        if head is None:
            return groups
        matrices = tuple(p for p in groups.matrices if p is not head.weight)
        return ParamGroups(matrices, (*groups.embeddings, *head.parameters()), groups.norms)

    @torch.no_grad()
    def begin(
        self, module: nn.Module, inputs: Mapping[str, Tensor], length: int
    ) -> tuple[DecoderCache, Tensor]:
        """Encode `tokens`, then decode `decoder_tokens`; `length` counts what is decoded.

        Raises:
            ValueError: `decoder_tokens` are more than `length`.
        """
        model, mask = _t5(module), inputs.get("attention_mask")
        mask = None if mask is None else mask[:, None, None]
        encoded = model.encode(inputs["tokens"], mask)
        shape = (encoded.shape[0], model.config.heads, length, model.config.head_width)
        layers = tuple(
            LayerCache((encoded.new_empty(shape), encoded.new_empty(shape)))
            for _ in model.decoder.layers
        )
        cache = DecoderCache(encoded, mask, layers, length)
        return cache, self.decode(module, inputs["decoder_tokens"], cache)

    @torch.no_grad()
    def decode(self, module: nn.Module, tokens: Tensor, cache: Cache) -> Tensor:
        """
        Raises:
            ValueError: the tokens do not fit the cache.
        """
        assert isinstance(cache, DecoderCache)
        model = _t5(module)
        hidden = model.decode(tokens, cache.encoded, cache.mask, cache).hidden
        return model.project(hidden[:, -1])

    def to_hf(
        self, config: T5Config, vocab_size: int, state: Mapping[str, Tensor]
    ) -> tuple[HFConfig, dict[str, Tensor]]:
        dtype = state["embedding.weight"].dtype
        tensors = to_hf_tensors(config, vocab_size, state)
        return to_hf_config(config, vocab_size, dtype), tensors

    def from_hf(
        self, hf_config: HFConfig, tensors: Mapping[str, Tensor]
    ) -> tuple[T5Config, int, dict[str, Tensor]]:
        config, vocab_size = from_hf_config(hf_config)
        return config, vocab_size, from_hf_tensors(hf_config, config, vocab_size, tensors)


def _t5(module: nn.Module) -> T5Model:
    assert isinstance(module, T5Model)
    return module
