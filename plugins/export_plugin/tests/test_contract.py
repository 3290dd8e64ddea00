"""The contract of exporters, for each of this package."""

from __future__ import annotations

from typing import ClassVar

from create_llm.testing import ExporterContract


class Small(ExporterContract):
    __test__ = False
    model: ClassVar = {"name": "gpt", "layers": 1, "heads": 2, "dim": 64, "max_length": 32}
    tokenizer: ClassVar = {"name": "bpe", "vocab_size": 300}


class TestHuggingFace(Small):
    __test__ = True
    name = "hf"


class TestGGUF(Small):
    __test__ = True
    name = "gguf"


class TestOllama(Small):
    __test__ = True
    name = "ollama"


class TestLMStudio(Small):
    __test__ = True
    name = "lmstudio"
    options: ClassVar = {"precision": "q8_0"}
