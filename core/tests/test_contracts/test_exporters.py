"""The contract of exporters against planted faults."""

from __future__ import annotations

import os
from typing import ClassVar

import pytest

from create_llm.errors import ConfigError, PluginError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.export import Finding
from create_llm.testing import ExporterContract

WEIGHTS = "model.safetensors"


class Copy:
    """A sound exporter: the weights as they are."""

    def __init__(self, config):
        pass

    def check(self, bundle):
        pass

    def export(self, bundle, writer):
        writer.write(WEIGHTS, [(bundle.path / WEIGHTS).read_bytes()])
        return ("open it",)

    def test(self, bundle, folder):
        same = (folder / WEIGHTS).read_bytes() == (bundle.path / WEIGHTS).read_bytes()
        return (Finding("weights", same, "compared byte by byte"),)


class Contract(ExporterContract):
    model: ClassVar = {"name": "gpt", "layers": 1, "heads": 2, "dim": 32, "max_length": 32}
    tokenizer: ClassVar = {"name": "bpe", "vocab_size": 300}

    @classmethod
    def registry(cls):
        return default_plugins().registry


class Unrecorded(Copy):
    def export(self, bundle, writer):
        (writer.folder / "more.bin").write_bytes(b"1")
        return super().export(bundle, writer)


class Silent(Copy):
    def export(self, bundle, writer):
        super().export(bundle, writer)
        return ()


class Random(Copy):
    def export(self, bundle, writer):
        writer.write("salt", [os.urandom(8)])
        return super().export(bundle, writer)


class Greedy(Copy):
    def export(self, bundle, writer):
        (bundle.path / "generation_config.json").write_text("{}")
        return super().export(bundle, writer)


class Pessimist(Copy):
    def test(self, bundle, folder):
        return (Finding("weights", False, "never"),)


class Optimist(Copy):
    def test(self, bundle, folder):
        return (Finding("weights", True, "not looked at"),)


class Measurer(Copy):
    def test(self, bundle, folder):
        return (Finding("weights", None, "some"),)


class Curt(Copy):
    def check(self, bundle):
        if bundle.hf_config()["model_type"] == "no-such":
            raise ConfigError("no")


class Alone(Copy):
    """Its program is not installed."""

    def test(self, bundle, folder):
        raise PluginError("there is no such program here")


@pytest.mark.parametrize(
    ("exporter", "broken"),
    [
        (Copy, set()),
        (Alone, set()),
        (Unrecorded, {"every_file_is_recorded"}),
        (Silent, {"says_what_to_do_next"}),
        (Random, {"twice_gives_the_same_bytes"}),
        (Greedy, {"leaves_the_bundle_alone", "twice_gives_the_same_bytes"}),
        (Pessimist, {"its_program_reads_the_same_model"}),
        (Optimist, {"another_model_is_told_apart"}),
        (Measurer, {"its_program_reads_the_same_model", "another_model_is_told_apart"}),
        (Curt, {"a_form_that_nobody_knows_is_refused_or_kept"}),
    ],
)
def test_a_fault_is_seen(exporter, broken, failures):
    assert failures(Contract, exporter) == broken
