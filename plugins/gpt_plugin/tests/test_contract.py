"""The contract of architectures, for `gpt` in both of its forms."""

from __future__ import annotations

from typing import ClassVar

from create_llm.testing import ArchitectureContract


class TestQwen3(ArchitectureContract):
    name = "gpt"
    options: ClassVar = {
        "max_length": 16,
        "layers": 2,
        "heads": 4,
        "kv_heads": 2,
        "dim": 32,
        "dropout": 0.0,
    }


class TestLlama(ArchitectureContract):
    name = "gpt"
    options: ClassVar = {
        "form": "llama",
        "tied": False,
        "max_length": 16,
        "layers": 2,
        "heads": 4,
        "dim": 32,
        "dropout": 0.0,
    }
