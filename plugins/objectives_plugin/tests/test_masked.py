"""Masked tokens: which, how many, and what stands in their place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.objectives_plugin.tests.stand_in import CONTROL, EOS, MASK, PAD, Numbers, sample
from torch.nn import functional as F

from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import IGNORED
from create_llm_objectives.config import MaskedConfig
from create_llm_objectives.masked import MaskedObjective


def masked(probability=0.15):
    return MaskedObjective(MaskedConfig(probability=probability), Numbers())


@pytest.fixture(scope="module")
def large():
    """200 samples of 100 tokens, and what became of them."""
    samples = [sample(np.random.default_rng(n).integers(5, 200, 100)) for n in range(200)]
    return np.stack([s.tokens for s in samples]), masked().batch(samples, range(200))


def test_the_share_is_guessed_and_labels_are_the_tokens_that_stood_there(large):
    tokens, batch = large
    chosen = batch.labels.numpy() != IGNORED
    assert chosen.sum() == batch.count == 200 * 15
    assert (batch.labels.numpy()[chosen] == tokens[chosen]).all()
    assert (batch.inputs["tokens"].numpy()[~chosen] == tokens[~chosen]).all()


def test_eight_of_ten_are_masked_one_is_replaced_one_stays(large):
    tokens, batch = large
    chosen = batch.labels.numpy() != IGNORED
    seen, stood = batch.inputs["tokens"].numpy()[chosen], tokens[chosen]
    assert abs((seen == MASK).mean() - 0.8) < 0.03
    assert abs((seen == stood).mean() - 0.1) < 0.03
    assert not set(seen[seen != MASK]) & set(CONTROL.values())


def test_every_place_is_guessed_at_some_time(large):
    assert (large[1].labels != IGNORED).any(0).all()


def test_control_tokens_and_what_does_not_count_are_never_guessed():
    counted = [False] * 10 + [True] * 10
    tokens = [EOS if place % 3 == 0 else 5 + place for place in range(20)]
    batch = masked(0.9).batch([sample(tokens, counted)] * 50, range(50))
    guessed = (batch.labels != IGNORED).any(0)
    assert guessed.nonzero().flatten().tolist() == [10, 11, 13, 14, 16, 17, 19]


def test_a_sample_has_at_least_one_guess_where_it_can():
    batch = masked().batch([sample([EOS, 7]), sample([EOS, EOS])], [0, 1])
    assert batch.count == 1


def test_padding_is_named_and_not_guessed():
    batch = masked().batch([sample([6, 7, 8]), sample([9])], [0, 1])
    assert batch.inputs["attention_mask"].tolist() == [[True] * 3, [True, False, False]]
    assert batch.inputs["tokens"][1, 1:].tolist() == [PAD, PAD]
    assert "attention_mask" not in masked().batch([sample([6, 7]), sample([8, 9])], [0, 1]).inputs


def test_projecting_the_guesses_alone_changes_neither_loss_nor_gradients():
    torch.manual_seed(0)
    head = torch.nn.Linear(4, 300, bias=False)
    hidden = torch.randn(2, 30, 4, requires_grad=True)
    samples = [sample(range(10, 40)), sample(range(50, 75))]
    batch = masked(0.3).batch(samples, [3, 4])
    masked().loss(ModelOutput(hidden, head), batch).total.backward()
    got, hidden.grad = hidden.grad.clone(), None
    logits, labels = head(hidden).flatten(0, 1), batch.labels.flatten()
    F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum").backward()
    torch.testing.assert_close(got, hidden.grad)
