"""The Hugging Face forms: equal logits in transformers, there and back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from create_llm.errors import DataError
from create_llm_gpt.architecture import GPT
from create_llm_gpt.config import GPTConfig
from create_llm_gpt.model import GPTModel

VOCAB = 61
SHAPE = GPTConfig(max_length=32, layers=2, heads=4, dim=32, dropout=0.1, rope_theta=5000.0)
FORMS = [
    SHAPE.model_copy(update=changes)
    for changes in (
        {"form": "qwen3", "tied": True, "kv_heads": 2},
        {"form": "qwen3", "tied": False, "head_dim": 16},
        {"form": "llama", "tied": True},
        {"form": "llama", "tied": False, "kv_heads": 1, "norm_eps": 1e-5},
    )
]


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


@pytest.mark.parametrize("config", FORMS, ids=name_of)
def test_logits_equal_in_transformers(config: GPTConfig, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    module = uneven(config)
    hf_config, tensors = written(config, module)
    (tmp_path / "config.json").write_text(json.dumps(hf_config), "utf-8")
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    peer, notes = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert type(peer).__name__ == hf_config["architectures"][0]
    assert not notes["missing_keys"]
    assert not notes["unexpected_keys"]
    tokens = torch.randint(0, VOCAB, (2, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs, ours = peer(input_ids=tokens).logits, module(tokens).logits()
    assert ours.std() > 0.3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("config", FORMS, ids=name_of)
def test_there_and_back_is_the_same(config: GPTConfig) -> None:
    state = uneven(config).state_dict()
    hf_config, tensors = GPT().to_hf(config, VOCAB, state)
    assert ("lm_head.weight" in tensors) is not config.tied
    again, vocab_size, back = GPT().from_hf(json.loads(json.dumps(hf_config)), tensors)
    assert (again, vocab_size) == (config, VOCAB)
    assert set(back) == set(state)
    assert all(torch.equal(back[name], state[name]) for name in state)


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
    config, vocab_size, state = GPT().from_hf(hf_config, peer.state_dict())
    assert (config.form, config.rope_theta, config.dropout) == (form, 2000.0, 0.0)
    module = GPT().build(config, vocab_size).eval()
    module.load_state_dict(state)
    tokens = torch.arange(20).view(1, 20)
    with torch.no_grad():
        torch.testing.assert_close(
            module(tokens).logits(), peer(input_ids=tokens).logits, rtol=0, atol=1e-4
        )


def test_reads_the_older_config_json() -> None:
    """As transformers 4 wrote it for SmolLM2: rope_theta at the top, rope_scaling null."""
    hf_config, tensors = written(FORMS[2], uneven(FORMS[2]))
    del hf_config["rope_parameters"], hf_config["dtype"], hf_config["resid_pdrop"]
    del hf_config["head_dim"], hf_config["num_key_value_heads"]
    hf_config |= {"rope_scaling": None, "rope_interleaved": False, "pretraining_tp": 1}
    config, _, _ = GPT().from_hf(hf_config, tensors)
    assert config == FORMS[2].model_copy(update={"dropout": 0.0})


def test_old_rotary_frequencies_are_passed_over() -> None:
    hf_config, tensors = written(FORMS[3], uneven(FORMS[3]))
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    assert GPT().from_hf(hf_config, tensors)[0] == FORMS[3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mistral"}, "family 'mistral'"),
        ({"attention_bias": True}, "biases in its attention"),
        ({"mlp_bias": True}, "biases in its feed-forward"),
        ({"hidden_act": "gelu"}, "activation other than silu"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}}, "scaled by 'llama3'"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear"}}, "scaled by 'linear'"),
        ({"partial_rotary_factor": 0.5}, "turns only 0.5"),
        ({"use_sliding_window": True}, "sliding-window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "other than full attention"),
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
    hf_config, tensors = written(FORMS[0], uneven(FORMS[0]))
    with pytest.raises(DataError, match=message) as caught:
        GPT().from_hf({**hf_config, **changes}, tensors)
    assert caught.value.where
    assert len(caught.value.fixes) >= 2


def test_tensors_that_do_not_belong() -> None:
    hf_config, tensors = written(FORMS[0], uneven(FORMS[0]))
    bias = {**tensors, "model.layers.0.self_attn.q_proj.bias": torch.zeros(32)}
    with pytest.raises(DataError, match="no place here"):
        GPT().from_hf(hf_config, bias)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(DataError, match=r"lack model\.layers\.1\.mlp\.up_proj\.weight"):
        GPT().from_hf(hf_config, tensors)
