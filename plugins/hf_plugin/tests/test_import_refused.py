"""Models that contradict themselves, ask for what is not theirs, or do not run."""

from __future__ import annotations

import json
import math

import pytest
import torch
from plugins.hf_plugin.tests import theirs
from safetensors.torch import load_file, save_file

from create_llm.errors import DataError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.importing import find_importer, import_into
from create_llm.models.loaded import LoadedModel
from create_llm_hf.architecture_config import TransformersConfig
from create_llm_hf.checkpoint import refuse_links_out

REGISTRY = default_plugins().registry
TOKENS = torch.arange(40)[None]
EVIL = "evil/kernel"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    root = tmp_path_factory.mktemp("saved")
    return {kind: theirs.save(root / kind, kind) for kind in ("llama", "qwen3", "gpt2", "gpt_neox")}


@pytest.fixture
def changed(saved, tmp_path):
    """A copy of a saved model with other values in config.json; None takes a key out."""

    def make(kind, changes, tensors=None):
        folder = tmp_path / "theirs"
        folder.mkdir()
        for path in saved[kind].iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        config = json.loads((folder / "config.json").read_text()) | changes
        config = {key: value for key, value in config.items() if key not in changes or value != ...}
        (folder / "config.json").write_text(json.dumps(config))
        if tensors is not None:
            weights = folder / "model.safetensors"
            save_file(tensors(load_file(weights)), weights, metadata={"format": "pt"})
        return folder

    return make


def imported(folder, said=None):
    part, name = find_importer(str(folder), folder.parent, REGISTRY)
    notice = (said if said is not None else []).append
    read = part.load()().read(name, folder.parent, REGISTRY, notice)
    return import_into(read, folder.parent / "v1", REGISTRY)


def logits(bundle):
    with torch.no_grad():
        return LoadedModel.from_bundle(bundle, REGISTRY).module(TOKENS).logits()


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("llama", {"tie_word_embeddings": True}),
        ("qwen3", {"tie_word_embeddings": True, "hidden_act": "gelu"}),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 4.0}}),
        ("llama", {"rope_scaling": {"rope_type": "default", "type": "default", "rope_theta": 7.0}}),
        ("gpt2", {"n_head": ..., "num_attention_heads": 2}),
        ("llama", {"hidden_act": "gelu", "output_hidden_states": True, "output_attentions": True}),
    ],
    ids=str,
)
def test_what_config_json_says_twice_is_what_transformers_makes_of_it(changed, kind, changes):
    folder = changed(kind, changes)
    bundle = imported(folder)
    expected = theirs.logits(folder, TOKENS)
    assert torch.allclose(logits(bundle), expected, atol=2e-5 * float(expected.abs().max()))
    # What is written stands for itself.
    assert torch.allclose(theirs.logits(bundle.path, TOKENS), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("gpt2", {"num_attention_heads": 2}, "n_head = 4 and num_attention_heads = 2"),
        ("gpt_neox", {"num_hidden_layers": 1}, "no place for .*layers.1"),
        ("llama", {"num_hidden_layers": 1}, "no place for .*layers.1"),
        ("llama", {"num_hidden_layers": 3000}, "num_hidden_layers = 3000"),
        ("gpt_neox", {"num_hidden_layers": 1e12}, "num_hidden_layers = 1"),
        ("gpt_neox", {"text_config": {"num_experts": 10**9}}, "num_experts = 1000000000"),
        ("gpt_neox", {"hidden_size": 2**24}, "describes .* parameters"),
        ("gpt_neox", {"num_hidden_layers": 3}, "describes .* parameters"),
        ("llama", {"num_key_value_heads": ...}, "describes .* parameters"),
        ("gpt2", {"n_inner": 5}, "another size .*mlp.c_fc"),
        ("llama", {"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantised .gptq"),
        ("gpt_neox", {"quantization_config": "x"}, "quantised .x"),
        ("llama", {"num_attention_heads": 0}, "modulo by zero"),
        ("llama", {"intermediate_size": -1}, "negative dimension"),
        ("gpt2", {"resid_pdrop": 5}, "between 0 and 1"),
        ("llama", {"hidden_act": "gelu", "text_config": "x"}, "cannot build"),
        ("llama", {"rope_parameters": [1]}, "rope_parameters"),
        ("llama", {"layer_types": 5}, "not iterable"),
        ("llama", {"hidden_size": [2]}, "hidden_size"),
        ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 0}}, "not finite"),
        ("llama", {"rope_parameters": {"rope_theta": math.nan}}, "not finite"),
        ("llama", {"is_causal": False}, "what comes after"),
        ("llama", {"architectures": ["\ud800"]}, "not JSON"),
    ],
    ids=lambda value: str(value).encode("ascii", "replace").decode(),
)
def test_what_cannot_be_is_refused_in_words(changed, kind, changes, words):
    folder = changed(kind, changes)
    with pytest.raises(DataError, match=words) as caught:
        imported(folder)
    assert len(caught.value.fixes) >= 2
    assert not (folder.parent / "v1").exists()


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint16, torch.complex64, torch.float8_e4m3fn])
def test_weights_that_are_codes_are_refused(changed, dtype):
    folder = changed("llama", {}, lambda held: {name: t.to(dtype) for name, t in held.items()})
    with pytest.raises(DataError, match=str(dtype).removeprefix("torch.")):
        imported(folder)


def test_a_configuration_without_end_is_refused(changed):
    folder = changed("llama", {})
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="not JSON"):
        imported(folder)


def test_a_model_does_not_say_how_it_is_run(changed):
    running = {"_attn_implementation": EVIL, "attn_implementation": EVIL, "use_kernels": True}
    running |= {"_experts_implementation": EVIL, "return_dict": False, "num_labels": 10**9}
    running |= {"fusion_config": {EVIL: 1}, "transformers_weights": EVIL}
    folder = changed("llama", {"hidden_act": "gelu", "id2label": "x", **running})
    bundle = imported(folder)
    assert logits(bundle).isfinite().all()
    assert EVIL not in (bundle.path / "config.json").read_text()
    assert EVIL not in json.dumps(bundle.info)


def test_nor_does_a_part_of_it():
    hf = {
        "model_type": "x",
        "text_config": {"_attn_implementation": EVIL},
        "a": [{"_b": 1, "c": 2}],
    }
    kept = TransformersConfig(hf=hf).hf
    assert kept == {"model_type": "x", "text_config": {}, "a": [{"c": 2}]}


def test_untied_is_untied_in_its_parts_too():
    hf = {"model_type": "x", "text_config": {"tie_word_embeddings": True}}
    untied = TransformersConfig(hf=hf).untied().hf
    assert untied["tie_word_embeddings"] is untied["text_config"]["tie_word_embeddings"] is False


def test_two_heads_of_nothing_but_nan_are_not_two(changed):
    """Said of the weights, rather than of what config.json ties."""
    tied = {"hidden_act": "gelu", "tie_word_embeddings": True}
    folder = changed("llama", tied, lambda held: {name: t * math.nan for name, t in held.items()})
    with pytest.raises(DataError, match="not finite"):
        imported(folder)


@pytest.mark.parametrize("name", ["README.md", "tokenizer.json", "config.json", "LICENSE"])
def test_a_link_out_of_the_folder_is_not_followed(changed, name):
    folder = changed("llama", {})
    outside = folder.parent / "secret"
    (folder / name).touch()
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(DataError, match=f"{name} is a link"):
        imported(folder)


def test_links_of_the_cache_are_its_own(tmp_path):
    snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "1").touch()
    (snapshot / "config.json").symlink_to("../../blobs/1")
    (snapshot / "again.json").symlink_to("config.json")
    (snapshot / "round.json").symlink_to("round.json")
    refuse_links_out(snapshot)
    (snapshot / "x.json").symlink_to(tmp_path / "refs")
    with pytest.raises(DataError, match=r"x\.json is a link"):
        refuse_links_out(snapshot)


def test_what_no_sampling_can_do_is_left_out(changed):
    folder = changed("llama", {})
    told = {"temperature": math.inf, "top_k": "many", "top_p": [1], "min_p": -5, "do_sample": 1}
    told |= {"repetition_penalty": 1.5}
    (folder / "generation_config.json").write_text(json.dumps(told))
    said = []
    kept = imported(folder, said).sampling_defaults()
    assert {key: kept[key] for key in told if key in kept} == {"repetition_penalty": 1.5}
    assert "temperature = inf" in said[0]
    assert "top_k = 'many'" in said[0]


def test_numbers_beyond_counting_are_left_out(changed):
    folder = changed("llama", {})
    told = {"temperature": 10**400, "top_k": 10**30, "top_p": True, "min_p": 0.1}
    (folder / "generation_config.json").write_text(json.dumps(told))
    kept = imported(folder).sampling_defaults()
    assert {key: kept[key] for key in told if key in kept} == {"min_p": 0.1}
