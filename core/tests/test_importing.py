"""Weights of others are tried before a bundle is made of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from create_llm.errors import DataError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import WEIGHTS
from create_llm.models.importing import Imported, import_into
from create_llm.testing.bundles import write_bundle

REGISTRY = default_plugins().registry
MODEL = {"name": "gpt", "layers": 1, "heads": 2, "dim": 32, "max_length": 32}
TOKENIZER = {"name": "bpe", "vocab_size": 300}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    bundle = write_bundle(tmp_path_factory.mktemp("of") / "v1", REGISTRY, MODEL, TOKENIZER)
    config = json.loads((bundle.path / "config.json").read_text())
    files = {path.name: path.read_bytes() for path in bundle.path.glob("tokenizer*.json")}
    tensors = load_file(bundle.path / WEIGHTS)
    return Imported("x:sound", "gpt", "bpe", config, tensors, files)


def changed(read, change):
    return replace(read, tensors={name: change(tensor) for name, tensor in read.tensors.items()})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_whole_weights_are_read(read, tmp_path, dtype):
    bundle = import_into(changed(read, lambda tensor: tensor.to(dtype)), tmp_path / "v1", REGISTRY)
    assert {tensor.dtype for tensor in load_file(bundle.path / WEIGHTS).values()} == {dtype}


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float8_e4m3fn, torch.complex64])
def test_weights_that_are_no_numbers_to_learn_are_refused(read, tmp_path, dtype):
    with pytest.raises(DataError, match=str(dtype).removeprefix("torch.")):
        import_into(changed(read, lambda tensor: tensor.to(dtype)), tmp_path / "v1", REGISTRY)
    assert not list(tmp_path.iterdir())


def test_a_model_that_computes_nothing_is_refused(read, tmp_path):
    with pytest.raises(DataError, match="not finite"):
        import_into(
            changed(read, lambda tensor: tensor * (3e38 if tensor.ndim == 1 else 1)),
            tmp_path / "v1",
            REGISTRY,
        )
    assert not list(tmp_path.iterdir())


def test_a_chat_template_that_is_none_is_refused(read, tmp_path):
    broken = replace(read, files={**read.files, "chat_template.jinja": b"{% for x %}"})
    with pytest.raises(DataError, match="no Jinja template"):
        import_into(broken, tmp_path / "v1", REGISTRY)
    assert not list(tmp_path.iterdir())


def test_a_model_of_one_token_is_tried_too(read, tmp_path):
    short = replace(read, config={**read.config, "max_position_embeddings": 1})
    assert import_into(short, tmp_path / "v1", REGISTRY).path.is_dir()


def with_vocabulary(read, letters):
    """The same model with a tokenizer of letters, and no more than its control tokens beside."""
    held = json.loads(read.files["tokenizer.json"])
    control = {entry["content"]: entry["id"] for entry in held["added_tokens"]}
    places = {letter: max(control.values()) + 1 + n for n, letter in enumerate(letters)}
    held["model"] |= {"vocab": control | places, "merges": []}
    held |= {"pre_tokenizer": None, "decoder": None, "normalizer": None, "post_processor": None}
    return replace(read, files={**read.files, "tokenizer.json": json.dumps(held).encode()})


def test_a_tokenizer_that_knows_no_text_is_refused(read, tmp_path):
    with pytest.raises(DataError, match="knows no text"):
        import_into(with_vocabulary(read, ""), tmp_path / "v1", REGISTRY)
    assert not list(tmp_path.iterdir())


def test_one_of_another_script_is_sound(read, tmp_path):
    assert import_into(with_vocabulary(read, "αβγ"), tmp_path / "v1", REGISTRY).path.is_dir()
