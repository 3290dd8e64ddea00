"""GGUF files in llama.cpp: families, precisions, tokenizers, and what is refused."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import get_args

import gguf
import gguf.quants
import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import load_file, save

from create_llm.errors import ConfigError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import WEIGHTS, ModelBundle
from create_llm.models.exporting import export
from create_llm.storage.durable import Storage
from create_llm.testing.bundles import write_bundle
from create_llm_export import gguf_file, llama
from create_llm_export.config import GGUFConfig, Precision
from create_llm_export.families import family_of
from create_llm_export.gguf_exporter import GGUF
from create_llm_export.vocabulary import vocabulary_of

MODEL = {"name": "gpt", "layers": 2, "heads": 2, "dim": 64, "max_length": 32, "tied": False}
BPE = {"name": "bpe", "vocab_size": 320}
PIECES = {"name": "sentencepiece-bpe", "vocab_size": 400}


def made(folder: Path, tokenizer: dict[str, object] = BPE, **changes: object) -> ModelBundle:
    registry = default_plugins().registry
    return write_bundle(folder, registry, {**MODEL, **changes}, tokenizer)


def rewritten(bundle: ModelBundle, folder: Path, changes: dict[str, bytes]) -> ModelBundle:
    """The bundle with other files of the same names."""
    files = {path.name: path.read_bytes() for path in bundle.path.iterdir() if path.is_file()}
    with Storage().commit(folder) as writer:
        for name in files.keys() - {"manifest.json"}:
            writer.write(name, [(files | changes)[name]])
    return ModelBundle.open(folder)


def tried(bundle: ModelBundle, folder: Path, **options: object):
    """The findings of an export, by what was compared."""
    exporter = GGUF(GGUFConfig(**options))
    export(exporter, bundle, folder)
    return {finding.what: finding for finding in exporter.test(bundle, folder)}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> ModelBundle:
    return made(tmp_path_factory.mktemp("model") / "v1")


@pytest.mark.parametrize(
    "changes",
    [{"form": "llama", "kv_heads": 1}, {"form": "gpt2"}, {"form": "qwen3", "kv_heads": 1}],
    ids=["llama", "gpt2", "qwen3"],
)
def test_each_family_writes_and_reads_as_in_torch(tmp_path, changes):
    found = tried(made(tmp_path / "v1", **changes), tmp_path / "out", precision="f32")
    assert found["token ids"].same
    assert found["greedy text"].same
    agreed, _, places = found["drift"].told.partition(" of ")
    assert places.startswith(agreed.split()[-1])


@pytest.mark.parametrize("tokenizer", [PIECES, {"name": "byte"}], ids=["pieces", "byte"])
def test_other_exact_tokenizers(tmp_path, tokenizer):
    found = tried(made(tmp_path / "v1", tokenizer), tmp_path / "out", precision="f32")
    assert found["token ids"].same, found["token ids"].told
    assert found["greedy text"].same


THREE_VALUES = ("tq2_0", "tq1_0")


@pytest.mark.parametrize("precision", [p for p in get_args(Precision) if p not in THREE_VALUES])
def test_what_is_rounded_is_measured(tmp_path, bundle, precision):
    found = tried(bundle, tmp_path / "out", precision=precision)
    assert found["token ids"].same
    assert found["drift"].same, found["drift"].told
    assert (tmp_path / "out" / f"v1-{precision.upper()}.gguf").is_file()


@pytest.fixture(scope="module")
def broad(tmp_path_factory) -> ModelBundle:
    """A model whose rows are as long as the blocks of three values."""
    folder = tmp_path_factory.mktemp("broad") / "v1"
    return made(folder, layers=1, dim=256, ffn_dim=256)


@pytest.fixture(scope="module")
def ternary(tmp_path_factory, broad) -> ModelBundle:
    """The same with three values in each matrix of a layer."""
    tensors = load_file(broad.path / WEIGHTS)
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and ".layers." in name:
            size = np.abs(tensor).mean()
            tensors[name] = np.sign(tensor) * (np.abs(tensor) > size / 2) * size
    return rewritten(broad, tmp_path_factory.mktemp("ternary") / "v1", {WEIGHTS: save(tensors)})


@pytest.mark.parametrize("precision", THREE_VALUES)
def test_three_values_are_enough_for_a_model_that_has_no_more(tmp_path, broad, ternary, precision):
    found = tried(ternary, tmp_path / "out", precision=precision)
    assert found["token ids"].same
    assert found["drift"].same, found["drift"].told
    found = tried(broad, tmp_path / "other", precision=precision)
    assert found["drift"].same is False, found["drift"].told


def test_a_precision_that_no_row_divides_into_is_refused(tmp_path, bundle):
    with pytest.raises(ConfigError, match="multiple of 256"):
        export(GGUF(GGUFConfig(precision="tq1_0")), bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_rounded_is_near_and_how_much_of_it_is_told(tmp_path):
    bundle = made(tmp_path / "v1", layers=1, dim=128, ffn_dim=256)
    found = tried(bundle, tmp_path / "tq", precision="tq1_0")
    told = found["precision"].told
    assert told.startswith("1 of 9 matrices in TQ1_0, ")
    assert "2 in Q8_0" in told
    assert "6 in F16" in told
    found = tried(bundle, tmp_path / "q4", precision="q4_0")
    assert (found["drift"].same, found["drift"].near) == (True, True)
    found = tried(bundle, tmp_path / "f32", precision="f32")
    assert "precision" not in found
    assert (found["drift"].same, found["drift"].near) == (True, False)
    assert " of 200 places" in found["drift"].told


SCALED = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}


def test_the_true_reason_is_told(bundle):
    hf = {**bundle.hf_config(), "rope_parameters": SCALED}
    del hf["rope_theta"]
    with pytest.raises(ConfigError, match="scaled by 'linear'"):
        family_of(hf)


@pytest.mark.parametrize(
    ("model_class", "verb"),
    [("BertForMaskedLM", "llm evaluate"), ("T5ForConditionalGeneration", "llm generate")],
)
def test_the_verb_that_is_advised_is_one_that_the_model_has(model_class, verb):
    with pytest.raises(ConfigError) as caught:
        family_of({"model_type": "other", "architectures": [model_class]})
    assert caught.value.fixes[-1].endswith(verb)


def test_everything_that_gguf_can_quantise_is_offered():
    row = np.ones((1, 256), np.float32)
    able = set()
    for kind in gguf.GGMLQuantizationType:
        with contextlib.suppress(NotImplementedError):
            gguf.quants.quantize(row, kind)
            able.add(kind.name.lower())
    assert able == set(get_args(Precision))


@pytest.mark.parametrize("name", ["q4_k_m", "Q6_K", "iq4_xs", "q2_k", "q1_0", "nvfp4"])
def test_what_only_llama_cpp_makes_is_said_to_be_that(name):
    with pytest.raises(ValidationError, match="llama-quantize FROM") as caught:
        GGUFConfig(precision=name)
    assert f"written here are {', '.join(get_args(Precision))}" in str(caught.value)


def test_precisions_are_known_as_llama_cpp_spells_them():
    assert GGUFConfig(precision="Q8_0") == GGUFConfig(precision="q8_0")
    with pytest.raises(ValidationError, match="Input should be"):
        GGUFConfig(precision="small")


@pytest.mark.parametrize("form", ["llama", "gpt2"])
def test_a_wrong_conversion_is_noticed(tmp_path, monkeypatch, form):
    right = gguf_file._turned
    monkeypatch.setattr(gguf_file, "_turned", lambda *given: right(*given).flip(0))
    found = tried(made(tmp_path / "v1", form=form), tmp_path / "out", precision="f32")
    assert found["greedy text"].same is False


@pytest.mark.parametrize(
    ("tokenizer", "reason"),
    [
        ({"name": "wordpiece", "vocab_size": 320}, "WordPiece"),
        ({"name": "unigram", "vocab_size": 320}, "Unigram"),
        ({"name": "sentencepiece-unigram", "vocab_size": 400}, "rare characters"),
    ],
)
def test_an_inexact_tokenizer_is_refused_unless_forced(tmp_path, tokenizer, reason):
    bundle = made(tmp_path / "v1", tokenizer)
    with pytest.raises(ConfigError, match=reason) as caught:
        export(GGUF(GGUFConfig()), bundle, tmp_path / "out")
    assert any("export.gguf.force=true" in fix for fix in caught.value.fixes)
    assert not (tmp_path / "out").exists()
    found = tried(bundle, tmp_path / "out", force=True)
    assert found["token ids"].same is not False
    assert found["drift"].same


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_other_architectures_are_refused_in_words(tmp_path, name):
    model = {"name": name, "layers": 1, "heads": 2, "dim": 32, "max_length": 32}
    bundle = write_bundle(tmp_path / "v1", default_plugins().registry, model, BPE)
    with pytest.raises(ConfigError, match=f"and not '{name}'"):
        export(GGUF(GGUFConfig()), bundle, tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": None}, "families"),
        ({"head_dim": None}, "does not say head_dim"),
        ({"max_position_embeddings": 10**20}, "GGUF counts in 32 bits"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "yarn"),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, "linear"),
        ({"rope_parameters": {"rope_type": "default", "type": "yarn"}}, "yarn"),
        ({"rope_parameters": {"rope_theta": 7.0}}, "another rope_theta"),
        ({"rope_scaling": [1]}, "rope_scaling is no table"),
        ({"attention_bias": True}, "attention_bias = True"),
        ({"is_causal": False}, "is_causal = False"),
    ],
)
def test_what_llama_cpp_would_not_compute_is_refused(bundle, changes, words):
    hf = bundle.hf_config()
    assert family_of(hf)
    with pytest.raises(ConfigError, match=words):
        family_of({**hf, **changes})


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")


@pytest.mark.parametrize(
    ("pattern", "whole"), [(LLAMA3, True), (QWEN2, False)], ids=["llama 3", "qwen 2"]
)
def test_the_words_of_downloaded_models_are_known(tmp_path, bundle, pattern, whole):
    file = json.loads((bundle.path / "tokenizer.json").read_text("utf-8"))
    words = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    steps = [{**words, "invert": False}, {**file["pre_tokenizer"], "use_regex": False}]
    file["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    file["model"]["ignore_merges"] = whole
    changes = {"tokenizer.json": json.dumps(file).encode()}
    found = tried(rewritten(bundle, tmp_path / "v1", changes), tmp_path / "out")
    assert found["token ids"].same, found["token ids"].told


def changed(bundle: ModelBundle, folder: Path, change) -> tuple[str, ...]:
    """Why a tokenizer.json with a change is not exact."""
    file = json.loads((bundle.path / "tokenizer.json").read_text("utf-8"))
    change(file)
    (folder / "tokenizer.json").write_text(json.dumps(file), "utf-8")
    return vocabulary_of(folder, 320).reasons


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda file: file.update(normalizer={"type": "NFC"}), "normalise"),
        (lambda file: file["model"].update(dropout=0.1), "dropout"),
        (lambda file: file["model"].update(ignore_merges=True), "as a whole"),
        (lambda file: file["pre_tokenizer"].update(add_prefix_space=True), "in front"),
        (lambda file: file["pre_tokenizer"].update(use_regex=False), "pattern"),
        (lambda file: file["model"]["vocab"].pop("Ā"), "1 of the 256 bytes"),
    ],
)
def test_what_makes_byte_level_bpe_inexact(tmp_path, bundle, change, reason):
    assert changed(bundle, tmp_path, lambda file: None) == ()
    assert reason in changed(bundle, tmp_path, change)[0]


def test_what_makes_pieces_inexact(tmp_path):
    bundle = made(tmp_path / "v1", PIECES)
    assert changed(bundle, tmp_path, lambda file: None) == ()
    assert "merges" in changed(bundle, tmp_path, lambda file: file["model"]["merges"].reverse())[0]

    def spelt_by_pieces(file):
        vocabulary = file["model"]["vocab"]
        vocabulary["</s"] = len(vocabulary)

    assert "'</s>'" in changed(bundle, tmp_path, spelt_by_pieces)[-1]


def test_the_program_listens_where_only_its_owner_enters(tmp_path, bundle):
    export(GGUF(GGUFConfig()), bundle, tmp_path / "out")
    with llama.Llama(tmp_path / "out" / "v1-F16.gguf", 64) as peer:
        folder = Path(peer._folder.name)
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
