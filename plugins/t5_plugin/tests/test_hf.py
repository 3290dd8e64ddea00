"""The Hugging Face form: transformers' models read here, ours there, and what is refused."""

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
from create_llm_t5.architecture import T5
from create_llm_t5.config import T5Config
from create_llm_t5.hf import from_hf_config
from create_llm_t5.model import T5Model

VOCAB = 61
START = 3
SHAPE = T5Config(max_length=32, layers=2, heads=4, dim=32, dropout=0.2, tied=True)
FORMS = [
    SHAPE,
    SHAPE.model_copy(update={"tied": False, "decoder_layers": 1, "head_dim": 16}),
    SHAPE.model_copy(update={"form": "v1.0", "position_buckets": 8, "position_distance": 20}),
    SHAPE.model_copy(update={"form": "v1.0", "tied": False, "norm_eps": 1e-5, "ffn_dim": 50}),
]
Tensors = dict[str, Tensor]


def name_of(config: T5Config) -> str:
    return f"{config.form}-{'tied' if config.tied else 'untied'}"


def some_tokens(length: int = 30, seed: int = 0) -> Tensor:
    return torch.randint(0, VOCAB, (2, length), generator=torch.Generator().manual_seed(seed))


def uneven(config: T5Config) -> T5Model:
    """A model none of whose tensors is at its simplest value, norms and positions included; it
    looks about, and writes more than what it has just read."""
    architecture = T5()
    module = architecture.build(config, VOCAB)
    architecture.init(module, seed=3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim < 2:
                parameter.uniform_(0.5, 1.5, generator=generator)
            elif name == "embedding.weight":
                parameter.mul_(0.1)
            elif "position_bias" in name:
                parameter.mul_(5)
            elif name.endswith(("qkv.weight", "cross.q.weight")):
                parameter.mul_(2)
    return module.eval()


def written(config: T5Config) -> tuple[dict[str, Any], Tensors]:
    return T5().to_hf(config, VOCAB, uneven(config).state_dict())


def peer_of(folder: Path, config: T5Config) -> Any:
    """Our model, opened by transformers."""
    transformers = pytest.importorskip("transformers")
    hf_config, tensors = written(config)
    hf_config |= {"decoder_start_token_id": START, "eos_token_id": 1, "pad_token_id": 0}
    Storage().write(folder / "model.safetensors", tensor_chunks(tensors))
    (folder / "config.json").write_text(json.dumps(hf_config), encoding="utf-8")
    return transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()


def theirs(folder: Path, **changes: Any) -> tuple[Any, dict[str, Any], Tensors]:
    """A small model that transformers makes and saves."""
    transformers = pytest.importorskip("transformers")
    shape = {"vocab_size": VOCAB, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2}
    torch.manual_seed(0)
    peer = transformers.T5ForConditionalGeneration(
        transformers.T5Config(**{**shape, "num_heads": 4, **changes})
    )
    with torch.no_grad():
        for parameter in peer.parameters():
            if parameter.ndim < 2:
                parameter.uniform_(0.5, 1.5)
    peer.eval().save_pretrained(folder)
    hf_config = json.loads((folder / "config.json").read_text("utf-8"))
    return peer, hf_config, load_file(folder / "model.safetensors")


def read(hf_config: dict[str, Any], tensors: Tensors) -> T5Model:
    config, vocab_size, state = T5().from_hf(hf_config, tensors)
    module = T5().build(config, vocab_size).eval()
    module.load_state_dict(state)
    return module


def assert_same_logits(module: T5Model, peer: Any) -> None:
    source, target = some_tokens(), some_tokens(20, seed=5)
    mask = torch.arange(30)[None] < torch.tensor([[30], [21]])
    with torch.no_grad():
        expected = peer(input_ids=source, decoder_input_ids=target, attention_mask=mask).logits
        torch.testing.assert_close(
            module(source, target, mask).logits(),
            expected,
            rtol=0,
            atol=1e-4 * expected.abs().max(),
        )


@pytest.mark.parametrize("config", FORMS, ids=name_of)
def test_logits_equal_in_transformers(config: T5Config, tmp_path: Path) -> None:
    peer = peer_of(tmp_path, config)
    assert type(peer).__name__ == "T5ForConditionalGeneration"
    assert_same_logits(uneven(config), peer)


@pytest.mark.parametrize("config", FORMS, ids=name_of)
def test_there_and_back_is_the_same(config: T5Config) -> None:
    state = uneven(config).state_dict()
    hf_config, tensors = T5().to_hf(config, VOCAB, state)
    assert ("lm_head.weight" in tensors) is not config.tied
    again, vocab_size, back = T5().from_hf(json.loads(json.dumps(hf_config)), tensors)
    assert (again, vocab_size) == (config, VOCAB)
    assert set(back) == set(state)
    assert all(torch.equal(back[name], state[name]) for name in state)


@pytest.mark.parametrize("config", FORMS, ids=name_of)
def test_writes_what_transformers_writes(config: T5Config, tmp_path: Path) -> None:
    peer, module = peer_of(tmp_path, config), uneven(config)
    source, steps = some_tokens(), 12
    expected = peer.generate(source, max_new_tokens=steps, min_new_tokens=steps, do_sample=False)
    tokens, architecture = torch.full((2, 1), START), T5()
    inputs = {"tokens": source, "decoder_tokens": tokens}
    cache, logits = architecture.begin(module, inputs, steps + 1)
    for _ in range(steps):
        logits[:, 1] = -torch.inf  # as min_new_tokens does to the end of the text
        token = logits.argmax(-1, keepdim=True)
        tokens = torch.cat([tokens, token], dim=1)
        logits = architecture.decode(module, token, cache)
    assert torch.equal(tokens, expected)
    assert tokens.unique().numel() > 4, "a model that repeats itself shows nothing"


@pytest.mark.parametrize(
    "changes",
    [
        {"feed_forward_proj": "relu"},
        {"feed_forward_proj": "gated-gelu", "num_decoder_layers": 1, "d_kv": 12},
        {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        {"relative_attention_num_buckets": 12, "relative_attention_max_distance": 20},
    ],
    ids=str,
)
def test_reads_what_transformers_makes(changes: dict[str, Any], tmp_path: Path) -> None:
    peer, hf_config, tensors = theirs(tmp_path, **changes)
    assert_same_logits(read(hf_config, tensors), peer)


def test_reads_an_untied_model_that_transformers_saved_again(tmp_path: Path) -> None:
    """transformers 5 then says that it is tied, and writes both matrices."""
    config = FORMS[1]
    peer_of(tmp_path, config).save_pretrained(tmp_path / "again")
    hf_config = json.loads((tmp_path / "again" / "config.json").read_text("utf-8"))
    tensors = load_file(tmp_path / "again" / "model.safetensors")
    again, _, state = T5().from_hf(hf_config, tensors)
    assert again == config
    expected = uneven(config).state_dict()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_reads_the_published_configs() -> None:
    """As t5-small and t5-v1_1-small come; their tensors repeat what is shared."""
    common = {"architectures": ["T5WithLMHeadModel"], "model_type": "t5", "d_model": 512}
    common |= {"d_kv": 64, "vocab_size": 32128, "relative_attention_num_buckets": 32}
    common |= {"dropout_rate": 0.1, "layer_norm_epsilon": 1e-06, "is_encoder_decoder": True}
    small = {"num_layers": 6, "num_heads": 8, "d_ff": 2048, "n_positions": 512}
    config, vocab_size = from_hf_config({**common, **small})
    assert (config.form, config.tied, config.max_length) == ("v1.0", True, 512)
    assert (vocab_size, config.head_dim, config.ffn_dim) == (32128, None, None)
    newer = {"num_layers": 8, "num_decoder_layers": 8, "num_heads": 6, "d_ff": 1024}
    newer |= {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    config, _ = from_hf_config({**common, **newer})
    assert (config.form, config.tied, config.head_dim, config.ffn_dim) == ("v1.1", False, 64, 1024)


def test_repeated_tensors_are_passed_over() -> None:
    hf_config, tensors = written(FORMS[2])
    shared = tensors.pop("shared.weight")
    names = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
    bias = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    tensors |= {**dict.fromkeys(names, shared), bias: torch.ones(8, 4)}
    config, _, state = T5().from_hf(hf_config, tensors)
    assert config == FORMS[2]
    assert torch.equal(state["embedding.weight"], shared)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mt5"}, "family 'mt5'"),
        ({"model_type": None}, "family 'None'"),
        ({"architectures": ["T5EncoderModel"]}, "class T5EncoderModel"),
        ({"feed_forward_proj": "gated-silu"}, "layers of 'gated-silu'"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised"),
        ({"d_model": None}, "lacks d_model"),
        ({"d_model": "wide"}, "valid integer"),
        ({"relative_attention_max_distance": 16}, "position_distance 16 must be more"),
        ({"vocab_size": None}, "vocab_size"),
        ({"vocab_size": VOCAB + 1}, "config.json makes it"),
        ({"num_decoder_layers": 3}, r"lack decoder\.block\.2"),
        ({"num_layers": 1}, "no place here"),
        ({"tie_word_embeddings": False}, "lack lm_head"),
    ],
    ids=str,
)
def test_forms_it_cannot_read(changes: dict[str, object], message: str) -> None:
    hf_config, tensors = written(SHAPE)
    with pytest.raises(DataError, match=message) as caught:
        T5().from_hf({**hf_config, **changes}, tensors)
    assert caught.value.where
    assert len(caught.value.fixes) >= 2


@pytest.mark.parametrize("name", ["lm_head.weight", "decoder.embed_tokens.weight"])
def test_an_embedding_that_is_not_shared_is_refused(name: str) -> None:
    hf_config, tensors = written(SHAPE)
    tensors[name] = tensors["shared.weight"] + 1
    with pytest.raises(DataError, match=f"whose {name} is not the embedding"):
        T5().from_hf(hf_config, tensors)
