"""Folders for transformers: what is in them, and what transformers makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers.utils import logging

from create_llm.errors import ConfigError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import ModelBundle
from create_llm.models.exporting import export
from create_llm.storage.durable import Storage
from create_llm.testing.bundles import write_bundle
from create_llm_export.hf import CARD, HuggingFace

SHAPE = {"layers": 2, "heads": 2, "dim": 32, "max_length": 48}
BPE = {"name": "bpe", "vocab_size": 320}
KINDS = ["<pad>", "<unk>", "<s>", "</s>"]
MASKED = [*KINDS, "<mask>"]
SPANS = [*KINDS, *(f"<extra_id_{number}>" for number in range(100))]
FIGURES = (
    "# v1\n\n| val loss | 2.5 |\n\n## Use it\n\n```\nllm generate v1\n```\n\n## Limits\n\nMany.\n"
)


def made(folder: Path, model: dict[str, object], tokenizer: dict[str, object]) -> ModelBundle:
    return write_bundle(folder, default_plugins().registry, {**SHAPE, **model}, tokenizer)


@pytest.mark.parametrize(
    ("model", "tokenizer"),
    [
        ({"name": "gpt", "form": "qwen3"}, BPE),
        ({"name": "gpt", "form": "llama", "kv_heads": 1}, {"name": "sentencepiece-bpe"}),
        ({"name": "gpt", "form": "gpt2", "tied": False}, {"name": "unigram", "vocab_size": 320}),
        ({"name": "bert"}, {"name": "wordpiece", "special_tokens": MASKED}),
        ({"name": "t5"}, {"name": "sentencepiece-unigram", "special_tokens": SPANS}),
    ],
    ids=["qwen3", "llama", "gpt2", "bert", "t5"],
)
def test_transformers_computes_the_same(tmp_path, model, tokenizer):
    sized = {"vocab_size": 540, **tokenizer}
    bundle = made(tmp_path / "v1", model, sized)
    export(HuggingFace(None), bundle, tmp_path / "out")
    found = {each.what: each for each in HuggingFace(None).test(bundle, tmp_path / "out")}
    assert found["token ids"].same, found["token ids"].told
    assert found["logits"].same, found["logits"].told
    assert ("greedy text" in found) == (model["name"] == "gpt")


def test_transformers_says_nothing_between_our_lines(tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY", raising=False)
    logging.enable_progress_bar()
    logging.set_verbosity_warning()
    bundle = made(tmp_path / "v1", {"name": "gpt"}, BPE)
    export(HuggingFace(None), bundle, tmp_path / "out")
    capfd.readouterr()
    HuggingFace(None).test(bundle, tmp_path / "out")
    assert capfd.readouterr() == ("", "")


def with_files(bundle: ModelBundle, folder: Path, **files: str) -> ModelBundle:
    """The bundle with other files, by name; "" leaves one out."""
    names = {path.name: path.read_bytes() for path in bundle.path.iterdir()}
    names |= {name: text.encode() for name, text in files.items()}
    with Storage().commit(folder) as writer:
        for name, data in names.items():
            if data and name != "manifest.json":
                writer.write(name, [data])
    return ModelBundle.open(folder)


def test_the_card_keeps_its_figures_and_speaks_of_transformers(tmp_path):
    bundle = made(tmp_path / "v0", {"name": "gpt"}, BPE)
    bundle = with_files(bundle, tmp_path / "v1", **{CARD: FIGURES, "secret.txt": "no"})
    advice = export(HuggingFace(None), bundle, tmp_path / "out")
    assert any(f'Qwen3ForCausalLM.from_pretrained("{tmp_path}/out")' in line for line in advice)
    card = (tmp_path / "out" / CARD).read_text("utf-8")
    assert "| val loss | 2.5 |" in card
    assert "## Limits\n\nMany." in card
    assert "llm generate" not in card
    assert "Qwen3ForCausalLM.from_pretrained(folder)" in card
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "README.md",
        "config.json",
        "generation_config.json",
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("config.json", json.dumps({"model_type": "own"}), "does not know the architecture"),
        ("tokenizer.json", "", "needs tokenizer.json"),
    ],
)
def test_what_transformers_could_not_open_is_refused(tmp_path, name, text, words):
    bundle = made(tmp_path / "v0", {"name": "gpt"}, BPE)
    bundle = with_files(bundle, tmp_path / "v1", **{name: text})
    with pytest.raises(ConfigError, match=words):
        export(HuggingFace(None), bundle, tmp_path / "out")
