"""The contract of importers against planted faults."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from create_llm.errors import ConfigError, DataError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import WEIGHTS, ModelBundle
from create_llm.models.importing import Imported
from create_llm.models.loaded import LoadedModel
from create_llm.testing import ImporterContract
from create_llm.testing.bundles import write_bundle

MODEL = {"name": "gpt", "layers": 1, "heads": 2, "dim": 32, "max_length": 32}
TOKENIZER = {"name": "bpe", "vocab_size": 300}
FIXES = ("copy it again",)


class Plain:
    """A sound importer: config.json, weights and tokenizer files in one folder."""

    def reads(self, path):
        return (path / WEIGHTS).is_file()

    def read(self, source, root, registry, notice):
        folder = root / source
        if not self.reads(folder):
            raise ConfigError("no model", fixes=FIXES)
        try:
            config = json.loads((folder / "config.json").read_text())
            tensors = load_file(folder / WEIGHTS)
        except Exception as error:
            raise DataError("damaged", fixes=FIXES) from error
        files = {path.name: path.read_bytes() for path in folder.glob("tokenizer*.json")}
        return Imported(f"plain:{folder.name}", "gpt", "bpe", config, tensors, files)


class Contract(ImporterContract):
    @classmethod
    def registry(cls):
        return default_plugins().registry

    def model(self, root):
        bundle = write_bundle(root / "of", self.registry(), MODEL, TOKENIZER)
        (root / "plain").mkdir()
        for name in (WEIGHTS, "config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copy(bundle.path / name, root / "plain")
        return root / "plain"

    def logits(self, path, tokens):
        return self.original(path).module(tokens).logits()

    def ids(self, path, text):
        return self.original(path).tokenizer.encode_batch([text])[0]

    def original(self, path):
        return LoadedModel.from_bundle(ModelBundle.open(path.parent / "of"), self.registry())


class Eager(Plain):
    def reads(self, path):
        return True


class Louder(Plain):
    def read(self, *arguments):
        found = super().read(*arguments)
        return replace(found, tensors={name: 1.1 * t for name, t in found.tensors.items()})


class Lowering(Plain):
    def read(self, *arguments):
        found = super().read(*arguments)
        words = json.loads(found.files["tokenizer.json"]) | {"normalizer": {"type": "Lowercase"}}
        return replace(found, files={**found.files, "tokenizer.json": json.dumps(words).encode()})


class Random(Plain):
    def read(self, *arguments):
        found = super().read(*arguments)
        noise = int.from_bytes(os.urandom(4), "big") * 1e-15
        return replace(
            found, tensors={n: t + noise * torch.rand(()) for n, t in found.tensors.items()}
        )


class Nameless(Plain):
    def read(self, *arguments):
        return replace(super().read(*arguments), origin="")


class Tidy(Plain):
    def read(self, source, root, *arguments):
        found = super().read(source, root, *arguments)
        (root / source / "imported").write_text("")
        return found


class Raw(Plain):
    """Lets what other libraries raise through."""

    def read(self, source, root, *arguments):
        json.loads((root / source / "config.json").read_text())
        return super().read(source, root, *arguments)


@pytest.mark.parametrize(
    ("importer", "broken"),
    [
        (Plain, set()),
        (Eager, {"knows_its_own_form"}),
        (Louder, {"same_logits"}),
        (Lowering, {"same_token_ids"}),
        (Random, {"twice_gives_the_same_weights"}),
        (Nameless, {"says_where_it_comes_from"}),
        (Tidy, {"leaves_the_source_alone"}),
        (Raw, {"what_is_no_model_is_refused_in_words"}),
    ],
)
def test_a_fault_is_seen(importer, broken, failures):
    assert failures(Contract, importer) == broken
