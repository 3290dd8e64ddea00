"""The encoder: what it sees, padding, Hugging Face's form both ways, and its estimates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from create_llm.errors import DataError
from create_llm.models.architecture import ParamGroups
from create_llm.testing.architectures import hf_logits
from create_llm_bert.architecture import BERT
from create_llm_bert.config import BERTConfig
from create_llm_bert.model import BERTModel

VOCAB = 61
SMALL = BERTConfig(max_length=32, layers=2, heads=4, dim=32, dropout=0.0)


def made(config: BERTConfig = SMALL, seed: int = 1) -> BERTModel:
    """A model none of whose tensors is at its simplest value, norms and biases included."""
    architecture = BERT()
    module = architecture.build(config, VOCAB)
    architecture.init(module, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim < 2:
                parameter.add_(torch.empty(parameter.shape).normal_(0, 0.2, generator=generator))
            else:
                parameter.mul_(5)
    return module.eval()


def some_tokens(batch: int = 3, length: int = 20, seed: int = 0) -> Tensor:
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


def logits_of(module: BERTModel, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    with torch.no_grad():
        return module(tokens, mask).logits()


def seen_from(module: BERTModel, place: int) -> list[int]:
    """The places whose token has an effect on the logits at `place`."""
    tokens = some_tokens(batch=1)
    before = logits_of(module, tokens)[:, place]
    seen = []
    for other in range(tokens.shape[1]):
        changed = tokens.clone()
        changed[:, other] = (changed[:, other] + 1) % VOCAB
        if not torch.allclose(before, logits_of(module, changed)[:, place], atol=1e-5):
            seen.append(other)
    return seen


def written(module: BERTModel) -> tuple[dict[str, Any], dict[str, Tensor]]:
    return BERT().to_hf(module.config, VOCAB, module.state_dict())


@pytest.mark.parametrize(("dim", "deviation"), [(768, 0.02), (48, 0.08)])
def test_a_narrower_model_begins_with_larger_weights(dim: int, deviation: float) -> None:
    module = BERT().build(BERTConfig(layers=1, dim=dim, heads=2), 1000)
    BERT().init(module, seed=1)
    for name, parameter in module.named_parameters():
        if parameter.ndim >= 2 and parameter.numel() > 2000:
            assert parameter.std().item() == pytest.approx(deviation, rel=0.05), name
    assert not module.head.bias.any()
    assert (module.layers[0].get_parameter("ffn_norm.weight") == 1).all()


def test_every_token_sees_all_others() -> None:
    assert seen_from(made(), 4) == list(range(20))


def test_one_that_sees_only_what_went_before_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def causal(q: Tensor, k: Tensor, v: Tensor, **_: object) -> Tensor:
        return right(q, k, v, is_causal=True)

    right = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", causal)
    assert seen_from(made(), 4) == [0, 1, 2, 3, 4]


def test_word_order_matters() -> None:
    tokens, model = some_tokens(), made()
    swapped = tokens.clone()
    swapped[:, [2, 7]] = tokens[:, [7, 2]]
    assert not torch.allclose(logits_of(model, tokens)[:, 15], logits_of(model, swapped)[:, 15])


def test_padding_changes_nothing() -> None:
    model, tokens = made(), some_tokens(length=20)
    mask = torch.arange(20)[None] < torch.tensor([[20], [13], [1]])
    others = torch.where(mask, tokens, (tokens + 7) % VOCAB)
    together = logits_of(model, tokens, mask)
    for row, length in enumerate((20, 13, 1)):
        alone = logits_of(model, tokens[row : row + 1, :length])
        torch.testing.assert_close(together[row, :length], alone[0], rtol=0, atol=1e-4)
        refilled = logits_of(model, others, mask)[row, :length]
        torch.testing.assert_close(refilled, alone[0], rtol=0, atol=1e-4)
    # Without the mask the padding does change something, so that the lines above can fail.
    assert not torch.allclose(logits_of(model, tokens)[1, :13], together[1, :13], atol=1e-2)


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="33 tokens do not fit max_length 32"):
        made()(some_tokens(length=33))


def test_dropout_acts_only_while_training() -> None:
    config = SMALL.model_copy(update={"dropout": 0.2, "attention_dropout": 0.2})
    model, tokens = made(config), some_tokens()
    assert torch.equal(model(tokens).hidden, model(tokens).hidden)
    model.train()
    assert not torch.equal(model(tokens).hidden, model(tokens).hidden)


def test_traces_without_a_graph_break() -> None:
    model, tokens = made(), some_tokens()
    mask = torch.ones_like(tokens, dtype=torch.bool)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(tokens, mask).logits(), model(tokens, mask).logits())


def test_parameter_groups() -> None:
    groups: ParamGroups = BERT().param_groups(made())
    assert len(groups.embeddings) == 3
    assert len(groups.matrices) == 4 * SMALL.layers + 1
    assert all(parameter.ndim == 1 for parameter in groups.norms)


def test_flops_counts_weights_head_and_attention() -> None:
    config = BERTConfig(layers=2, heads=4, dim=64, ffn_dim=128)
    weights = 2 * (4 * 64 * 64 + 2 * 64 * 128) + 64 * 64 + 1000 * 64
    assert BERT().flops(config, 1000, 256) == 6 * weights + 12 * 2 * 64 * 256


def test_reads_what_transformers_writes(tmp_path: Path) -> None:
    """As a file made for pretraining is: with a pooler, with what tells whether two sentences
    belong together, the shared matrix twice, and the old names of the norms."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    peer = transformers.BertForPreTraining(
        transformers.BertConfig(
            vocab_size=VOCAB,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=32,
            initializer_range=0.2,
        )
    ).eval()
    peer.save_pretrained(tmp_path)
    hf_config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in peer.state_dict().items()
    }
    tensors["bert.embeddings.position_ids"] = torch.arange(32)[None]
    assert {"cls.predictions.decoder.weight", "bert.pooler.dense.bias"} <= tensors.keys()
    config, vocab_size, state = BERT().from_hf(hf_config, tensors)
    assert (config.ffn_dim, config.dropout, config.attention_dropout) == (48, 0.1, 0.1)
    module = BERT().build(config, vocab_size).eval()
    module.load_state_dict(state)
    tokens, mask = some_tokens(batch=2), torch.ones(2, 20, dtype=torch.bool)
    mask[1, 11:] = False
    with torch.no_grad():
        theirs = peer(input_ids=tokens, attention_mask=mask).prediction_logits
    ours = logits_of(module, tokens, mask)
    assert ours.std() > 0.3
    torch.testing.assert_close(ours[mask], theirs[mask], rtol=0, atol=1e-4)


def test_transformers_reads_it_with_padding(tmp_path: Path) -> None:
    """As a bundle is: with the id of padding, which changes nothing about its row."""
    from safetensors.torch import save_file

    pytest.importorskip("transformers")
    module = made(SMALL.model_copy(update={"dropout": 0.1, "ffn_dim": 40}))
    hf_config, tensors = written(module)
    (tmp_path / "config.json").write_text(json.dumps(hf_config | {"pad_token_id": 0}), "utf-8")
    save_file({n: t.contiguous() for n, t in tensors.items()}, tmp_path / "model.safetensors")
    tokens, mask = some_tokens(batch=2), torch.ones(2, 20, dtype=torch.bool)
    mask[1, 11:] = False
    tokens[0, 3] = 0
    theirs = hf_logits(tmp_path, "BertForMaskedLM", {"tokens": tokens, "attention_mask": mask})
    ours = logits_of(module, tokens, mask)
    torch.testing.assert_close(ours[mask], theirs[mask], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "roberta"}, "another family than bert .*'roberta'"),
        ({"hidden_act": "relu"}, "another activation"),
        ({"hidden_act": "gelu_new"}, "another activation"),
        ({"position_embedding_type": "relative_key"}, "relative positions"),
        ({"is_decoder": True}, "left to right"),
        ({"add_cross_attention": True}, "second model"),
        ({"type_vocab_size": 4}, "other than 2 token types"),
        ({"tie_word_embeddings": False}, "matrix of its own"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised"),
        ({"hidden_size": None}, "lacks hidden_size"),
        ({"hidden_size": "wide"}, "valid integer"),
        ({"num_attention_heads": 5}, "dim 32 is not divisible by heads 5"),
        ({"vocab_size": None}, "vocab_size"),
        ({"vocab_size": VOCAB + 1}, "config.json makes it"),
        ({"max_position_embeddings": 31}, "config.json makes it"),
    ],
    ids=str,
)
def test_forms_it_cannot_read(changes: dict[str, object], message: str) -> None:
    hf_config, tensors = written(made())
    with pytest.raises(DataError, match=message) as caught:
        BERT().from_hf({**hf_config, **changes}, tensors)
    assert caught.value.where
    assert len(caught.value.fixes) >= 2


def test_tensors_that_do_not_belong() -> None:
    hf_config, tensors = written(made())
    table = tensors["bert.embeddings.word_embeddings.weight"]
    relative = {**tensors, "bert.encoder.layer.0.attention.self.distance_embedding.weight": table}
    with pytest.raises(DataError, match=r"no place here, .*distance_embedding"):
        BERT().from_hf(hf_config, relative)
    with pytest.raises(DataError, match=r"decoder\.weight is not bert\.embeddings"):
        BERT().from_hf(hf_config, {**tensors, "cls.predictions.decoder.weight": table + 1})
    headless = {name: t for name, t in tensors.items() if not name.startswith("cls.")}
    with pytest.raises(DataError, match="without the head"):
        BERT().from_hf(hf_config, headless)
    del tensors["bert.encoder.layer.1.output.dense.bias"]
    with pytest.raises(DataError, match=r"lack bert\.encoder\.layer\.1\.output\.dense\.bias"):
        BERT().from_hf(hf_config, tensors)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dim": 100, "heads": 8}, "dim 100 is not divisible by heads 8; try dim 96"),
        ({"dropout": 1.0}, "less than 1"),
        ({"layers": 0}, "greater than or equal to 1"),
        ({"widht": 3}, "Extra inputs"),
    ],
)
def test_configurations_that_cannot_work(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BERTConfig.model_validate(values)


def test_every_key_is_described() -> None:
    for name, field in BERTConfig.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict), name
        assert set(field.json_schema_extra) == {"cost", "try"}, name
