"""What an architecture gets for nothing: the defaults of the base class."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import BaseModel
from torch import nn

from create_llm.errors import PluginError
from create_llm.models.architecture import CausalLM, ModelOutput
from create_llm.models.weights import Undrawn, load_weights


class Config(BaseModel):
    max_length: int = 8


class Recurrent(nn.Module):
    """Its biases are called bias_ih_l0 and bias_hh_l0."""

    def __init__(self, vocab_size):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 4)
        self.layers = nn.ModuleList([nn.GRU(4, 4, batch_first=True)])
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, vocab_size)

    def forward(self, tokens):
        return ModelOutput(self.norm(self.layers[0](self.embedding(tokens))[0]), self.head)


class GRU(CausalLM):
    config_class = Config

    def build(self, config, vocab_size):
        return Recurrent(vocab_size)


def test_biases_start_at_zero_whatever_they_are_called_and_norms_at_one():
    module = GRU().build(Config(), 10)
    GRU().init(module, 1)
    values = dict(module.named_parameters())
    biases = [name for name in values if "bias" in name]
    assert "layers.0.bias_ih_l0" in biases
    assert not any(values[name].any() for name in biases)
    assert torch.equal(values["norm.weight"], torch.ones(4))


def test_layers_under_another_name_are_asked_for():
    module = GRU().build(Config(), 10)
    assert GRU().blocks(module) == [module.layers[0]]
    module.layers = None
    with pytest.raises(PluginError, match="no ModuleList called 'layers'"):
        GRU().blocks(module)


def test_counting_parameters_neither_draws_nor_imports_the_compiler(tmp_path):
    script = """
import sys, torch
from torch import nn
from create_llm.models.architecture import on_meta
with on_meta():
    made = nn.ModuleList([nn.Embedding(10, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.GRU(4, 4)])
assert all(parameter.is_meta for parameter in made.parameters())
assert sum(parameter.numel() for parameter in made.parameters()) == 188
assert "torch._dynamo" not in sys.modules
assert float(nn.Embedding(10, 4).weight.std()) > 0
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_weights_that_are_loaded_next_are_not_drawn_before():
    torch.manual_seed(1)
    with Undrawn():
        built = GRU().build(Config(), 10)
        drawn_after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(drawn_after, torch.rand(1))
    other = GRU().build(Config(), 10)
    load_weights(built, other.state_dict(), "here")
    tokens = torch.arange(5)[None]
    assert torch.equal(built(tokens).hidden, other(tokens).hidden)
