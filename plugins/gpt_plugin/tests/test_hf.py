"""The Hugging Face forms: equal logits in transformers, there and back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from create_llm.errors import DataError
from create_llm.storage.durable import Storage
from create_llm.storage.tensors import tensor_chunks
from create_llm_gpt.architecture import GPT
from create_llm_gpt.config import GPTConfig
from create_llm_gpt.model import GPTModel

VOCAB = 61
SHAPE = GPTConfig(max_length=32, layers=2, heads=4, dim=32, dropout=0.1, rope_theta=5000.0)
FORMS = [
    SHAPE.model_copy(update=changes)
    for changes in (
        {"form": "qwen3", "tied": True, "kv_heads": 2},
        {"form": "qwen3", "tied": False, "kv_heads": 1, "head_dim": 16},
        {"form": "qwen3", "tied": False},
        {"form": "llama", "tied": True},
        {"form": "llama", "tied": True, "kv_heads": 2},
        {"form": "llama", "tied": False, "kv_heads": 1, "norm_eps": 1e-5},
        # Heads of width 9: with learned positions it may be odd.
        {"form": "gpt2", "tied": True, "dim": 36, "rope_theta": 10000.0, "norm_eps": 1e-5},
        {"form": "gpt2", "tied": False, "ffn_dim": 50, "rope_theta": 10000.0},
    )
]
QWEN3, LLAMA, LLAMA_SHARED_KEYS, GPT2 = FORMS[0], FORMS[3], FORMS[5], FORMS[6]


def name_of(config: GPTConfig) -> str:
    return f"{config.form}-{'tied' if config.tied else 'untied'}-kv{config.kv_heads}"


def uneven(config: GPTConfig) -> GPTModel:
    """A model none of whose tensors is at its simplest value, norms included."""
    architecture = GPT()
    module = architecture.build(config, VOCAB)
    architecture.init(module, seed=3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim < 2:
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                parameter.mul_(5)
    return module.eval()


def written(config: GPTConfig, module: GPTModel) -> tuple[dict[str, Any], dict[str, Tensor]]:
    return GPT().to_hf(config, VOCAB, module.state_dict())


def opened_by_transformers(config: GPTConfig, module: GPTModel, folder: Path) -> Any:
    """The model as transformers reads it, which finds every tensor and no other."""
    transformers = pytest.importorskip("transformers")
    hf_config, tensors = written(config, module)
    (folder / "config.json").write_text(json.dumps(hf_config), "utf-8")
    Storage().write(folder / "model.safetensors", tensor_chunks(tensors))
    peer, notes = transformers.AutoModelForCausalLM.from_pretrained(
        folder, output_loading_info=True
    )
    assert type(peer).__name__ == hf_config["architectures"][0]
    assert not notes["missing_keys"]
    assert not notes["unexpected_keys"]
    return peer


def equal_logits(hf_config: dict[str, Any], tensors: dict[str, Tensor], peer: Any) -> GPTConfig:
    """Read a model of transformers, and compare what the two compute."""
    config, vocab_size, state = GPT().from_hf(hf_config, tensors)
    module = GPT().build(config, vocab_size).eval()
    module.load_state_dict(state)
    tokens = torch.arange(20).view(1, 20)
    with torch.no_grad():
        ours, theirs = module(tokens).logits(), peer.eval()(input_ids=tokens).logits
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    return config


@pytest.mark.parametrize("config", FORMS, ids=name_of)
def test_logits_equal_in_transformers(config: GPTConfig, tmp_path: Path) -> None:
    module = uneven(config)
    peer = opened_by_transformers(config, module, tmp_path)
    tokens = torch.randint(0, VOCAB, (2, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs, ours = peer(input_ids=tokens).logits, module(tokens).logits()
    assert ours.std() > 0.3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("config", FORMS, ids=name_of)
def test_writes_what_transformers_writes(config: GPTConfig, tmp_path: Path) -> None:
    """The likeliest next token, again and again, each side through its own cache."""
    module = uneven(config)
    peer = opened_by_transformers(config, module, tmp_path)
    prompt = torch.randint(0, VOCAB, (2, 5), generator=torch.Generator().manual_seed(1))
    theirs = peer.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False
    )
    cache, logits = GPT().begin(module, {"tokens": prompt}, 25)
    ours = prompt
    for _ in range(20):
        following = logits.argmax(-1, keepdim=True)
        ours = torch.cat((ours, following), dim=1)
        logits = GPT().decode(module, following, cache)
    assert len(set(ours.flatten().tolist())) > 5
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("config", FORMS, ids=name_of)
def test_there_and_back_is_the_same(config: GPTConfig) -> None:
    state = uneven(config).state_dict()
    hf_config, tensors = GPT().to_hf(config, VOCAB, state)
    assert ("lm_head.weight" in tensors) is not config.tied
    again, vocab_size, back = GPT().from_hf(json.loads(json.dumps(hf_config)), tensors)
    assert (again, vocab_size) == (config, VOCAB)
    assert set(back) == set(state)
    assert all(torch.equal(back[name], state[name]) for name in state)
    assert all(tensor.is_contiguous() for tensor in back.values())


def test_writing_copies_nothing() -> None:
    """A checkpoint must not need the model's memory twice."""
    for config in (QWEN3, GPT2):
        state = uneven(config).state_dict()
        _, tensors = GPT().to_hf(config, VOCAB, state)
        own = {tensor.untyped_storage().data_ptr() for tensor in state.values()}
        assert all(tensor.untyped_storage().data_ptr() in own for tensor in tensors.values())


@pytest.mark.parametrize("form", ["qwen3", "llama"])
def test_reads_what_transformers_writes(form: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    peer_config = transformers.AutoConfig.for_model(
        form,
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=32,
        rope_parameters={"rope_type": "default", "rope_theta": 2000.0},
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    peer = transformers.AutoModelForCausalLM.from_config(peer_config).eval()
    peer.save_pretrained(tmp_path)
    hf_config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    # The shared matrix twice, as some files have it.
    config = equal_logits(hf_config, peer.state_dict(), peer)
    assert (config.form, config.rope_theta, config.dropout) == (form, 2000.0, 0.0)


def gpt2_peer(**changes: object) -> Any:
    """GPT-2 as transformers makes it, with nothing at its simplest value."""
    transformers = pytest.importorskip("transformers")
    shape = {"vocab_size": VOCAB, "n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 4}
    peer = transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape, **changes))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return peer


@pytest.mark.parametrize("tied", [True, False])
def test_reads_the_gpt2_that_transformers_writes(tied: bool, tmp_path: Path) -> None:
    peer = gpt2_peer(tie_word_embeddings=tied)
    peer.save_pretrained(tmp_path)
    hf_config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    tensors = load_file(tmp_path / "model.safetensors")
    assert hf_config.get("n_inner") is None
    assert ("lm_head.weight" in tensors) is not tied
    config = equal_logits(hf_config, tensors, peer)
    assert config == GPTConfig(
        form="gpt2",
        max_length=32,
        layers=2,
        heads=4,
        dim=24,
        dropout=0.1,
        attention_dropout=0.1,
        norm_eps=1e-5,
        tied=tied,
    )
    # The shared matrix twice, as some files have it.
    assert equal_logits(hf_config, peer.state_dict(), peer) == config


def test_reads_the_published_gpt2() -> None:
    """Names without a prefix, the causal mask among the weights, and a config.json that leaves
    out what came later: so openai-community/gpt2 is published."""
    peer = gpt2_peer()
    tensors = {
        name.removeprefix("transformer."): tensor
        for name, tensor in peer.state_dict().items()
        if name != "lm_head.weight"
    }
    for layer in range(2):
        tensors[f"h.{layer}.attn.bias"] = torch.ones(32, 32).tril().view(1, 1, 32, 32)
        tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    hf_config = {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1,
        "bos_token_id": 50256,
        "embd_pdrop": 0.1,
        "eos_token_id": 50256,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2",
        "n_ctx": 32,
        "n_embd": 24,
        "n_head": 4,
        "n_layer": 2,
        "n_positions": 32,
        "resid_pdrop": 0.1,
        "summary_activation": None,
        "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
        "vocab_size": VOCAB,
    }
    config = equal_logits(hf_config, tensors, peer)
    assert (config.tied, config.dropout, config.ffn_dim) == (True, 0.1, None)
    # Older ones leave out what transformers has a default for.
    for key in ("activation_function", "attn_pdrop", "resid_pdrop", "layer_norm_epsilon"):
        del hf_config[key]
    assert equal_logits(hf_config, tensors, peer) == config


def test_reads_the_older_config_json() -> None:
    """As transformers 4 wrote it for SmolLM2: rope_theta at the top, rope_scaling null."""
    hf_config, tensors = written(LLAMA, uneven(LLAMA))
    del hf_config["rope_parameters"], hf_config["dtype"], hf_config["resid_pdrop"]
    del hf_config["head_dim"], hf_config["num_key_value_heads"]
    hf_config |= {"rope_scaling": None, "rope_interleaved": False, "pretraining_tp": 1}
    config, _, _ = GPT().from_hf(hf_config, tensors)
    assert config == LLAMA.model_copy(update={"dropout": 0.0})


def test_where_two_keys_say_the_rotation_the_older_one_does() -> None:
    """As in transformers."""
    hf_config, tensors = written(LLAMA, uneven(LLAMA))
    hf_config["rope_scaling"] = {"rope_type": "default", "rope_theta": 77.0}
    assert GPT().from_hf(hf_config, tensors)[0].rope_theta == 77.0


def test_another_name_for_the_same_value_is_no_contradiction() -> None:
    hf_config, tensors = written(GPT2, uneven(GPT2))
    hf_config |= {"hidden_size": hf_config["n_embd"], "num_hidden_layers": hf_config["n_layer"]}
    assert GPT().from_hf(hf_config, tensors)[0] == GPT2


def test_old_rotary_frequencies_are_passed_over() -> None:
    hf_config, tensors = written(LLAMA_SHARED_KEYS, uneven(LLAMA_SHARED_KEYS))
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    assert GPT().from_hf(hf_config, tensors)[0] == LLAMA_SHARED_KEYS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mistral"}, "family 'mistral'"),
        ({"attention_bias": True}, "biases in its attention"),
        ({"mlp_bias": True}, "biases in its feed-forward"),
        ({"hidden_act": "gelu"}, "activation other than silu"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}}, "scaled by 'llama3'"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear"}}, "scaled by 'linear'"),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, "scaled by 'linear'"),
        ({"rope_scaling": {"rope_type": "default", "type": "yarn"}}, "scaled by 'yarn'"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 9.0}}}, "not the same everywhere"),
        ({"rope_parameters": [1]}, "not the same everywhere"),
        ({"rope_scaling": "linear"}, "not the same everywhere"),
        ({"rope_parameters": {"rope_theta": float("nan")}}, "finite"),
        ({"partial_rotary_factor": 0.5}, "turns only 0.5"),
        ({"use_sliding_window": True}, "sliding-window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "other than full attention"),
        ({"layer_types": 5}, "other than full attention"),
        ({"max_position_embeddings": 10**20}, "less than or equal to 2147483647"),
        ({"num_hidden_layers": 10**12}, "less than or equal to 10000"),
        ({"is_causal": False}, "both directions"),
        ({"per_layer_config": {"0": {"rms_norm_eps": 0.5}}}, "differ from each other"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised"),
        ({"hidden_size": None}, "lacks hidden_size"),
        ({"hidden_size": "wide"}, "valid integer"),
        ({"num_key_value_heads": 3}, "kv_heads can be"),
        ({"vocab_size": None}, "vocab_size"),
        ({"vocab_size": VOCAB + 1}, "config.json makes it"),
    ],
    ids=str,
)
def test_forms_it_cannot_read(changes: dict[str, object], message: str) -> None:
    refuses(QWEN3, changes, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "gelu"}, "other than gelu_new .activation_function = 'gelu'"),
        ({"activation_function": "relu"}, "activation_function = 'relu'"),
        ({"scale_attn_weights": False}, "not scaled .scale_attn_weights = False"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scaled layer by layer"),
        ({"reorder_and_upcast_attn": True}, "reordered and upcast"),
        ({"add_cross_attention": True}, "attention to a second model"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised"),
        ({"n_embd": None}, "lacks n_embd"),
        ({"num_attention_heads": 2}, "whose num_attention_heads and n_head differ"),
        ({"hidden_size": 72}, "whose hidden_size and n_embd differ"),
        ({"n_head": 5}, "dim 36 is not divisible by heads 5"),
        ({"n_positions": 64}, r"wpe.weight is \[32, 36\]; config.json makes it \[64, 36\]"),
        ({"tie_word_embeddings": False}, "lack lm_head.weight"),
    ],
    ids=str,
)
def test_gpt2_forms_it_cannot_read(changes: dict[str, object], message: str) -> None:
    refuses(GPT2, changes, message)


def refuses(config: GPTConfig, changes: dict[str, object], message: str) -> None:
    hf_config, tensors = written(config, uneven(config))
    with pytest.raises(DataError, match=message) as caught:
        GPT().from_hf({**hf_config, **changes}, tensors)
    assert caught.value.where
    assert len(caught.value.fixes) >= 2


@pytest.mark.parametrize("config", [QWEN3, GPT2], ids=name_of)
def test_a_repeated_head_must_be_the_shared_matrix(config: GPTConfig) -> None:
    """Where it differs, transformers does not tie the two, whatever config.json says."""
    hf_config, tensors = written(config, uneven(config))
    embedding = next(name for name in tensors if name.endswith(("wte.weight", "tokens.weight")))
    repeated = {**tensors, "lm_head.weight": tensors[embedding].clone()}
    assert GPT().from_hf(hf_config, repeated)[0] == config
    repeated["lm_head.weight"][3, 3] += 1
    with pytest.raises(DataError, match=f"ties lm_head.weight to {embedding}, but they differ"):
        GPT().from_hf(hf_config, repeated)


def test_tensors_that_do_not_belong_to_gpt2() -> None:
    hf_config, tensors = written(GPT2, uneven(GPT2))
    for name in ("score.weight", "h.0.crossattention.c_attn.weight", "transformer.h.2.ln_1.bias"):
        with pytest.raises(DataError, match=f"no place here, .*{name}"):
            GPT().from_hf(hf_config, {**tensors, name: torch.zeros(2)})
    del tensors["transformer.h.1.mlp.c_fc.bias"]
    with pytest.raises(DataError, match=r"lack transformer\.h\.1\.mlp\.c_fc\.bias"):
        GPT().from_hf(hf_config, tensors)


def test_tensors_that_do_not_belong() -> None:
    hf_config, tensors = written(QWEN3, uneven(QWEN3))
    bias = {**tensors, "model.layers.0.self_attn.q_proj.bias": torch.zeros(32)}
    with pytest.raises(DataError, match="no place here"):
        GPT().from_hf(hf_config, bias)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(DataError, match=r"lack model\.layers\.1\.mlp\.up_proj\.weight"):
        GPT().from_hf(hf_config, tensors)
