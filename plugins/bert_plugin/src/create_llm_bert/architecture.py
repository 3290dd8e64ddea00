"""The architecture named ``bert``: what the core asks of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from create_llm.models.architecture import Architecture, HFConfig
from create_llm_bert.config import BERTConfig
from create_llm_bert.hf import from_hf_config, to_hf_config
from create_llm_bert.hf_tensors import from_hf_tensors, to_hf_tensors
from create_llm_bert.model import BERTModel

_WIDTH = 768
"""Of the model that the standard deviation 0.02 is from."""


class BERT(Architecture):
    """An encoder: each token sees all others. On disk it is Hugging Face's BertForMaskedLM."""

    config_class: ClassVar[type[BaseModel]] = BERTConfig
    capabilities: ClassVar[frozenset[str]] = frozenset({"masked"})
    default_objective: ClassVar[str] = "masked"

    def build(self, config: BERTConfig, vocab_size: int) -> BERTModel:
        return BERTModel(config, vocab_size)

    def init(self, module: nn.Module, seed: int) -> None:
        """As BERT has it, normal with 0.02, in proportion to 1 / sqrt(width): BERT is 768 wide.

        A narrow model with 0.02 guesses by frequency alone for hundreds of steps more, since its
        attention starts out too even to tell the places apart.
        """
        super().init(module, seed)
        scale = (_WIDTH / _bert(module).config.dim) ** 0.5
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.ndim >= 2:
                    parameter.mul_(scale)

    def flops(self, config: BERTConfig, vocab_size: int, length: int) -> float:
        """6 per weight that multiplies a token, as if each were projected by the head, and
        12 · layers · width · length for attention (PaLM, 2204.02311, appendix B).
        """
        weights = super().flops(config, vocab_size, length)
        return weights + 12.0 * config.layers * config.dim * length

    def to_hf(
        self, config: BERTConfig, vocab_size: int, state: Mapping[str, Tensor]
    ) -> tuple[HFConfig, dict[str, Tensor]]:
        dtype = state["embeddings.tokens.weight"].dtype
        return to_hf_config(config, vocab_size, dtype), to_hf_tensors(config, state)

    def from_hf(
        self, hf_config: HFConfig, tensors: Mapping[str, Tensor]
    ) -> tuple[BERTConfig, int, dict[str, Tensor]]:
        config, vocab_size = from_hf_config(hf_config)
        return config, vocab_size, from_hf_tensors(config, vocab_size, tensors)


def _bert(module: nn.Module) -> BERTModel:
    assert isinstance(module, BERTModel)
    return module
