"""The contracts of what this package brings: a source, a synthesizer and a command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from create_llm.testing import CommandContract, DataSourceContract, SynthesizerContract


class TestSource(DataSourceContract):
    name = "sample"

    def corpus(self, root: Path, size: int) -> Mapping[str, object]:
        return {"size_mb": size / 1_000_000}


class TestSynthesizer(SynthesizerContract):
    name = "sample"


class TestQuickstart(CommandContract):
    name = "quickstart"
