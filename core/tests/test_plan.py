"""What a run will take: counted without taking it, and added up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from torch import nn

from create_llm.config.intervals import Interval
from create_llm.models.architecture import CausalLM, ModelOutput
from create_llm.models.objective import Batch, LossOutput, Objective
from create_llm.training.blocks import choice_without_trial, choose_compile
from create_llm.training.epochs import Epochs
from create_llm.training.footprint import AnyTokenizer, Footprint, Recipe, footprint_of
from create_llm.training.optimizers import OptimizerSettings
from create_llm.training.plan import (
    Intervals,
    Occasions,
    Pace,
    disk_at_end,
    disk_at_most,
    needs_of,
    occasions_of,
    peak_memory,
    seconds_of,
)
from create_llm.training.step import StepSettings

CPU = torch.device("cpu")
WIDTH, VOCAB, LENGTH, BATCH = 32, 50, 16, 4


class Config(BaseModel):
    max_length: int = LENGTH
    layers: int = 3


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return torch.exp(self.linear(x))


class Stack(nn.Module):
    def __init__(self, layers, vocab_size):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(layers))
        self.head = nn.Linear(WIDTH, vocab_size)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return ModelOutput(x, self.head)


class Simple(CausalLM):
    config_class = Config

    def build(self, config, vocab_size):
        return Stack(config.layers, vocab_size)


class Asking(Simple):
    """Its forward wants values, as numpy."""

    def build(self, config, vocab_size):
        module = super().build(config, vocab_size)
        module.register_forward_pre_hook(lambda module, tokens: print(tokens[0].numpy()))
        return module


class Next(Objective):
    def batch(self, samples, seeds):
        tokens = torch.from_numpy(np.stack([sample.tokens for sample in samples]))
        return Batch({"tokens": tokens}, tokens, tokens.numel())

    def loss(self, output, batch):
        logits = output.logits().flatten(0, 1)
        return LossOutput(nn.functional.cross_entropy(logits, batch.labels.flatten()))


def recipe(architecture=None, layers=3, batch_size=BATCH, accumulation=1, optimizer="adamw"):
    return Recipe(
        architecture or Simple(),
        Config(layers=layers),
        VOCAB,
        lambda: Next(None, AnyTokenizer(VOCAB, ())),
        LENGTH,
        StepSettings(batch_size, accumulation, 1.0, 1, CPU, "fp32"),
        OptimizerSettings(optimizer, 1e-3, 0.0, 0.9, 0.95),
        False,
    )


PARAMETERS = 3 * (WIDTH * WIDTH + WIDTH) + 2 * VOCAB * WIDTH + VOCAB
ACTIVATION = 4 * BATCH * LENGTH * WIDTH


def test_weights_and_state_are_counted_to_the_byte():
    found = footprint_of(recipe())
    assert found.unknown is None
    assert found.parameters == PARAMETERS
    assert found.weights == 4 * PARAMETERS
    steps = 4 * 3 * 2 + 4 * 3  # AdamW counts the steps of each parameter
    assert found.checkpoint == 12 * PARAMETERS + steps
    assert 0 <= found.state - found.checkpoint <= 8  # whether the last update was skipped


@pytest.mark.parametrize(("optimizer", "each"), [("adamw", 12), ("sgd", 8)])
def test_optimizers_keep_what_they_keep(optimizer, each):
    found = footprint_of(recipe(optimizer=optimizer))
    assert found.checkpoint == pytest.approx(each * PARAMETERS, rel=0.01)


def test_a_layer_more_keeps_one_activation_more_and_its_gradient():
    three, four = (footprint_of(recipe(layers=layers)).step for layers in (3, 4))
    assert four - three >= ACTIVATION
    assert four - three <= ACTIVATION + 8 * (WIDTH * WIDTH + WIDTH)


def test_a_batch_twice_as_large_takes_more_and_an_evaluation_less_than_a_step():
    once, twice = (footprint_of(recipe(batch_size=size)) for size in (64, 128))
    assert 1.8 < twice.step / once.step < 2.0
    assert once.evaluation < once.step / 2


def test_it_counts_what_a_real_step_holds():
    """The same count over tensors with values comes to the same."""
    from create_llm.training import footprint as module

    counted = footprint_of(recipe())
    live = module._Live()
    with live:
        parts = module._build(recipe(), Next(None, AnyTokenizer(VOCAB, ())))
        module._fill_state(parts)
        state = live.now
        real = live.most(lambda: module._take_step(recipe(), parts)) - state
    assert counted.step == pytest.approx(real, rel=0.02)


def test_a_model_that_asks_for_values_is_counted_without_its_activations():
    found = footprint_of(recipe(Asking()))
    assert found.unknown
    assert (found.parameters, found.weights) == (PARAMETERS, 4 * PARAMETERS)
    assert found.step == 4 * PARAMETERS
    assert found.checkpoint == 12 * PARAMETERS


EPOCHS = Epochs(samples=250, samples_per_step=100)


def intervals(save, evaluate, sample=10**9):
    return Intervals(*(Interval.parse(value) for value in (save, evaluate, sample)))


@pytest.mark.parametrize(
    ("steps", "chosen", "expected"),
    [
        (10, intervals(4, 5), Occasions(saves=4, evaluations=2, samples=1, beside=True)),
        (10, intervals(5, 5), Occasions(saves=2, evaluations=2, samples=1, beside=False)),
        (10, intervals(100, 100), Occasions(saves=1, evaluations=1, samples=1, beside=False)),
        # Epochs end with steps 3, 5, 8 and 10.
        (10, intervals("1ep", "2ep"), Occasions(saves=4, evaluations=2, samples=1, beside=True)),
    ],
)
def test_occasions_are_those_of_the_loop(steps, chosen, expected):
    assert occasions_of(steps, chosen, EPOCHS) == expected
    due = [s for s in range(1, steps + 1) if chosen.save.due(s, EPOCHS.done) or s == steps]
    scored = [s for s in range(1, steps + 1) if chosen.evaluate.due(s, EPOCHS.done) or s == steps]
    assert (len({*due, *scored}), len(scored)) == (expected.saves, expected.evaluations)


def test_what_nobody_will_wait_for_is_not_counted_one_by_one():
    steps = 10**12
    found = occasions_of(steps, intervals(2, 3), EPOCHS)
    # A checkpoint at every second step and, before an evaluation, at every third.
    assert found.saves == pytest.approx(steps * 2 / 3, rel=1e-3)
    assert found.evaluations == pytest.approx(steps / 3, rel=1e-3)
    assert found.beside


FOOTPRINT = Footprint(1000, 4000, 12_000, 900_000, 300_000, 12_000)


def test_disk_holds_the_newest_and_the_best():
    once = Occasions(1, 1, 1, beside=False)
    assert disk_at_end(FOOTPRINT, once, 3) == disk_at_most(FOOTPRINT, 1, 3) == 12_000
    often = replace(once, saves=40)
    assert disk_at_end(FOOTPRINT, often, 3) == 4 * 12_000
    assert disk_at_most(FOOTPRINT, 40, 3) == 5 * 12_000


def test_a_copy_is_added_where_training_goes_on_beside_it_and_there_is_room():
    large = replace(FOOTPRINT, checkpoint=10**9)
    beside, after = (Occasions(2, 1, 1, beside=beside) for beside in (True, False))
    most = peak_memory(large, beside, CPU, 10**11)
    assert most - peak_memory(large, beside, CPU, 10**9) == 10**9 - FOOTPRINT.weights
    assert 0 < most - peak_memory(large, after, CPU, 10**11) < 10**7


def test_needs_are_those_of_the_larger_of_step_and_evaluation():
    needs = needs_of(FOOTPRINT, torch.device("cuda"))
    assert needs.state == FOOTPRINT.state + 4 * FOOTPRINT.parameters
    assert needs.state + needs.batch == FOOTPRINT.state + FOOTPRINT.step
    scored = needs_of(replace(FOOTPRINT, evaluation=2_000_000), torch.device("cuda"))
    assert scored.state + scored.batch == FOOTPRINT.state + 2_000_000


def test_the_range_is_that_of_the_probe_and_what_comes_between():
    occasions = Occasions(saves=3, evaluations=2, samples=1, beside=False)
    pace = Pace([0.5, 0.4, 0.6], evaluation=10, sample=5, stall=1)
    assert seconds_of(100, occasions, pace) == (pytest.approx(68), pytest.approx(88))


def never():
    raise AssertionError("nothing is rehearsed")


@pytest.mark.parametrize(
    ("wanted", "device", "limit"),
    [("off", "cpu", None), ("auto", "mps", None), ("auto", "cpu", 60)],
)
def test_what_is_settled_is_not_rehearsed(wanted, device, limit):
    chosen = choose_compile(wanted, [], device, 10**6, never, limit)
    assert not chosen.on
    assert chosen == choice_without_trial(wanted, device, limit or 10**6)


def test_a_long_run_tries_the_compiler():
    assert choice_without_trial("auto", "cpu", 10_000) is None
    assert choice_without_trial("auto", "cpu", 100) is not None
