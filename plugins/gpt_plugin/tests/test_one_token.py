"""One token more, by the short way: the same logits as by the model's own forward."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from create_llm.models.layout import lay_out_for_decoding
from create_llm_gpt.architecture import GPT
from create_llm_gpt.config import GPTConfig
from create_llm_gpt.model import GPTModel
from create_llm_gpt.one_token import plan_of

SHAPE = {"layers": 3, "heads": 4, "dim": 32, "max_length": 24, "dropout": 0.1}
VOCABULARY = 37
CHANGES = [
    {},
    {"kv_heads": 2},
    {"form": "llama"},
    {"form": "llama", "kv_heads": 1, "head_dim": 16, "tied": False},
]


def made(**changes: object) -> GPTModel:
    config = GPTConfig.model_validate({**SHAPE, **changes})
    model = GPT().build(config, VOCABULARY)
    GPT().init(model, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3).add_(0.01)
    return model.eval()


def decoded(model: GPTModel, *, short: bool) -> list[torch.Tensor]:
    """Logits step by step, of rows of different lengths in one cache."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for length in (3, 7, 1):
        tokens = torch.randint(VOCABULARY, (1, length), generator=generator)
        cache, _ = GPT().begin(model, {"tokens": tokens}, 20)
        rows.append((cache, 0))
    together = GPT().gather(rows)
    assert together.plan is not None
    together = together if short else replace(together, plan=None)
    steps = torch.randint(VOCABULARY, (10, 3, 1), generator=generator)
    return [GPT().decode(model, step, together) for step in steps]


@pytest.mark.parametrize("changes", CHANGES)
def test_logits_are_those_of_the_forward(changes):
    model = made(**changes)
    for short, whole in zip(decoded(model, short=True), decoded(model, short=False), strict=True):
        torch.testing.assert_close(short, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changes", [{}, {"form": "gpt2"}, {"tied": False}])
def test_where_numbers_lie_changes_no_logits(changes):
    model, tokens = made(**changes), torch.arange(10)[None]
    before, shapes = model(tokens).logits(), [p.shape for p in model.parameters()]
    values = [p.clone() for p in model.parameters()]
    lay_out_for_decoding(model)
    assert not model.layers[0].attention.qkv.weight.is_contiguous()
    assert [p.shape for p in model.parameters()] == shapes
    assert all(torch.equal(a, b) for a, b in zip(values, model.parameters(), strict=True))
    torch.testing.assert_close(model(tokens).logits(), before, rtol=1e-4, atol=1e-4)


def test_what_the_short_way_does_not_know_goes_the_long_one():
    assert plan_of(made(), 8) is not None
    assert plan_of(made(form="gpt2"), 8) is None
    assert plan_of(made().train(), 8) is None
    changed = made()
    changed.layers[1].ffn.down = nn.Sequential(changed.layers[1].ffn.down, nn.Dropout(0.5))
    assert plan_of(changed, 8) is None


def test_a_full_cache_is_an_error():
    model = made()
    cache, _ = GPT().begin(model, {"tokens": torch.arange(4)[None]}, 5)
    GPT().decode(model, torch.tensor([[1]]), cache)
    with pytest.raises(ValueError, match="room for 5"):
        GPT().decode(model, torch.tensor([[1]]), cache)
