"""The contract of engines, for `llamacpp`."""

from __future__ import annotations

from typing import ClassVar

from create_llm.testing import EngineContract


class TestLlamaCpp(EngineContract):
    name = "llamacpp"
    model: ClassVar = {
        "name": "gpt",
        "layers": 2,
        "heads": 2,
        "dim": 64,
        "max_length": 32,
        "tied": False,
    }
    tokenizer: ClassVar = {"name": "bpe", "vocab_size": 300}
