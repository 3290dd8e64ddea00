"""Small bundles to try parts on: architectures with random weights, never trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel

from create_llm.data.preparation.ingredients import tokenizer_files
from create_llm.kernel.registry import Part, Registry
from create_llm.models.architecture import Architecture, count_parameters
from create_llm.models.bundle import FORMAT, INFO, WEIGHTS, ModelBundle
from create_llm.storage.durable import Storage
from create_llm.storage.tensors import tensor_chunks
from create_llm.testing.base import PartContract

_SENTENCES = ("The quick brown fox jumps over the lazy dog.", "Once upon a time there was a sea.")
_LOUDER = 4.0
_CLEARER = 20.0
"""Fresh weights find all tokens about as likely, so that rounding decides; larger ones choose."""


class BundleContract(PartContract):
    """Base of the contracts of parts that are given a bundle.

    Attributes:
        model, tokenizer: parts that the bundle is made of, as sections of llm.toml:
            {"name": "gpt", "layers": 2, …}. Small. You set them, and depend on their packages.
    """

    model: ClassVar[Mapping[str, object]]
    tokenizer: ClassVar[Mapping[str, object]]

    @classmethod
    def registry(cls) -> Registry:
        return cls.plugins().registry

    def bundle(self, root: Path, name: str = "v1", seed: int = 0) -> ModelBundle:
        """A bundle in a folder of its own below `root`; another seed gives other weights."""
        for needed in ("model", "tokenizer"):
            if not hasattr(self, needed):
                pytest.fail(f"{type(self).__name__} must say `{needed}`", pytrace=False)
        return write_bundle(root / name, self.registry(), self.model, self.tokenizer, seed=seed)


def write_bundle(
    folder: Path,
    registry: Registry,
    model: Mapping[str, object],
    tokenizer: Mapping[str, object],
    texts: Sequence[str] = _SENTENCES * 20,
    seed: int = 0,
) -> ModelBundle:
    """A bundle of parts as [model] and [tokenizer] of llm.toml name them.

    Args:
        texts: what the tokenizer is trained on.
        seed: of the weights.

    Raises:
        ConfigError, PluginError: such parts are not installed.
    """
    part, options = _configured(registry, "architectures", model)
    architecture: Architecture = part.load()()
    words_part, words_options = _configured(registry, "tokenizers", tokenizer)
    words = words_part.load().train(texts, words_options)
    module = architecture.build(options, words.vocab_size)
    architecture.init(module, seed)
    groups = architecture.param_groups(module)
    for weights, factor in ((groups.matrices, _LOUDER), (groups.embeddings, _CLEARER)):
        for weight in weights:
            weight.data.mul_(factor)
    hf_config, tensors = architecture.to_hf(options, words.vocab_size, module.state_dict())
    with Storage().commit(folder) as writer:
        writer.write(WEIGHTS, tensor_chunks(tensors))
        writer.write_json("config.json", {**hf_config, "eos_token_id": words.special.eos})
        for name, data in tokenizer_files(words).items():
            writer.write(name, [data])
        writer.write_json("generation_config.json", {"eos_token_id": words.special.eos})
        info = {
            "format": FORMAT,
            "architecture": part.name,
            "tokenizer": words_part.name,
            "packages": {
                "architectures": part.distribution,
                "tokenizers": words_part.distribution,
            },
            "parameters": count_parameters(architecture, options, words.vocab_size),
            "recipe": {"data": {}},
        }
        writer.write_json(INFO, info)
    return ModelBundle.open(folder)


def _configured(
    registry: Registry, kind: str, section: Mapping[str, object]
) -> tuple[Part, BaseModel]:
    values = dict(section)
    part = registry.get(kind, str(values.pop("name")), where=f"the contract's {kind}")
    model = part.config_model()
    assert model is not None, f"{kind}/{part.name} has no config"
    return part, model(**values)
