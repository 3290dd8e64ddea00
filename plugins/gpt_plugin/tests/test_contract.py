"""The contract of architectures, for `gpt` in each of its forms."""

from __future__ import annotations

from typing import Any, ClassVar

from create_llm.testing import ArchitectureContract

SMALL: dict[str, Any] = {"max_length": 16, "layers": 2, "heads": 4, "dim": 32, "dropout": 0.0}


class TestQwen3(ArchitectureContract):
    name = "gpt"
    options: ClassVar = {**SMALL, "kv_heads": 2}


class TestQwen3Untied(ArchitectureContract):
    name = "gpt"
    options: ClassVar = {**SMALL, "kv_heads": 1, "tied": False, "head_dim": 16}


class TestLlama(ArchitectureContract):
    name = "gpt"
    options: ClassVar = {**SMALL, "form": "llama", "kv_heads": 2}


class TestLlamaUntied(ArchitectureContract):
    name = "gpt"
    options: ClassVar = {**SMALL, "form": "llama", "tied": False}


class TestGPT2(ArchitectureContract):
    name = "gpt"
    options: ClassVar = {**SMALL, "form": "gpt2"}


class TestGPT2Untied(ArchitectureContract):
    name = "gpt"
    options: ClassVar = {**SMALL, "form": "gpt2", "tied": False, "ffn_dim": 48}
