"""The contracts of what this package brings."""

from __future__ import annotations

from typing import ClassVar

from create_llm.testing import ArchitectureContract, CommandContract, TemplateContract


class TestBERT(ArchitectureContract):
    name = "bert"
    options: ClassVar = {"max_length": 16, "layers": 2, "heads": 4, "dim": 24, "dropout": 0.0}
    tolerance = 1e-5


class TestFill(CommandContract):
    name = "fill"


class TestTemplate(TemplateContract):
    name = "bert"
