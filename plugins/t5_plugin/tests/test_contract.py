"""The contracts of `t5`: the architecture in both forms, tied and untied, and the template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from create_llm.testing import ArchitectureContract, TemplateContract

SMALL = {"max_length": 16, "layers": 2, "heads": 4, "dim": 32, "dropout": 0.0}


class EncoderDecoderContract(ArchitectureContract):
    """The tokens are what the decoder reads; the encoder reads the same text each time."""

    decoded = "decoder_tokens"

    def inputs(self, tokens: Tensor) -> Mapping[str, Tensor]:
        source = torch.arange(7).expand(tokens.shape[0], 7)
        return {"tokens": source, "decoder_tokens": tokens}


class TestGated(EncoderDecoderContract):
    name = "t5"
    options: ClassVar = {**SMALL, "decoder_layers": 1, "head_dim": 16}


class TestGatedTied(EncoderDecoderContract):
    name = "t5"
    options: ClassVar = {**SMALL, "tied": True, "layers": 1}


class TestPlain(EncoderDecoderContract):
    name = "t5"
    options: ClassVar = {**SMALL, "form": "v1.0", "layers": 1}


class TestPlainTied(EncoderDecoderContract):
    name = "t5"
    options: ClassVar = {**SMALL, "form": "v1.0", "tied": True}


class TestTemplate(TemplateContract):
    name = "t5"
