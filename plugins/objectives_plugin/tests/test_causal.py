"""The causal objective: one shift, honest counts, chunks that change nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from create_llm.data.samples import Sample
from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import IGNORED
from create_llm_objectives import loss
from create_llm_objectives.causal import CausalObjective

RNG = np.random.default_rng(0)


def sample(tokens, counted=None):
    flags = None if counted is None else np.array(counted, dtype=np.bool_)
    return Sample(np.array(tokens, dtype=np.int64), flags)


def causal_batch(samples):
    return CausalObjective(None, None).batch(samples, range(len(samples)))


def test_labels_are_the_tokens_one_to_the_right():
    batch = causal_batch([sample([5, 6, 7, 8])])
    assert batch.inputs["tokens"].tolist() == [[5, 6, 7]]
    assert batch.labels.tolist() == [[6, 7, 8]]
    assert batch.count == 3


def test_what_does_not_count_is_ignored_and_not_counted():
    batch = causal_batch([sample([5, 6, 7], [True, False, True])])
    assert batch.labels.tolist() == [[IGNORED, 7]]
    assert batch.count == 1


def test_a_shorter_window_is_padded_behind_and_its_padding_ignored():
    batch = causal_batch([sample([5, 6, 7]), sample([8, 9])])
    assert batch.labels.tolist() == [[6, 7], [9, IGNORED]]
    assert batch.count == 3


def outputs(positions, vocabulary=11, width=4):
    torch.manual_seed(0)
    head = torch.nn.Linear(width, vocabulary, bias=False)
    hidden = torch.randn(2, positions // 2, width, requires_grad=True)
    return ModelOutput(hidden, head), head


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("chunk", [7, 10_000])
def test_chunks_change_neither_the_loss_nor_the_gradients(monkeypatch, chunk, fused):
    monkeypatch.setattr(loss, "CHUNK", chunk)
    objective = CausalObjective(None, None)
    samples = [sample(RNG.integers(0, 11, 25)), sample(RNG.integers(0, 11, 18))]
    batch = objective.batch(samples, [0, 1])
    output, head = outputs(48)
    given = replace(output, head_weight=head.weight) if fused else output
    total = objective.loss(given, batch).total
    (2 * total).backward()
    got = (output.hidden.grad.clone() / 2, head.weight.grad.clone() / 2)
    output.hidden.grad = head.weight.grad = None
    whole = F.cross_entropy(
        output.logits().flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    whole.backward()
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(got[0], output.hidden.grad)
    torch.testing.assert_close(got[1], head.weight.grad)


def test_a_probability_too_small_for_a_logarithm_has_its_loss():
    hidden = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], requires_grad=True)
    weight = torch.tensor([[500.0, 1.0], [0.0, 2.0]], requires_grad=True)
    output = ModelOutput(hidden, lambda states: states @ weight.t(), weight)
    labels = torch.tensor([[1, 0]])
    total = loss.summed_cross_entropy(output, labels)
    wanted = F.cross_entropy(output.logits().flatten(0, 1), labels.flatten(), reduction="sum")
    torch.testing.assert_close(total, wanted)
    assert total > 500


@pytest.mark.parametrize("size", [1.0, 500.0, -500.0], ids=["usual", "beyond exp", "exp is 0"])
def test_logits_of_any_size_have_their_loss_and_gradients(size):
    """The exponentials of all but the usual ones leave fp32; the labels of two do not count."""
    torch.manual_seed(2)
    states = torch.randn(1, 9, 16)
    states[..., 0] = 1.0
    weight = torch.randn(300, 16)
    weight[:, 0] += size
    labels = torch.randint(0, 300, (1, 9))
    labels[0, 3:5] = IGNORED
    results = []
    for head_weight in (True, False):
        hidden, head = states.clone().requires_grad_(), weight.clone().requires_grad_()
        output = ModelOutput(hidden, lambda h, w=head: h @ w.t(), head if head_weight else None)
        total = loss.summed_cross_entropy(output, labels)
        results.append((total.detach(), *torch.autograd.grad(total, (hidden, head))))
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=2e-3)


def test_bf16_sums_are_more_exact_than_their_terms():
    torch.manual_seed(3)
    values = torch.rand(50, 5001).bfloat16()
    wanted = values.double().sum(-1)
    error = (loss._row_sums(values).double() - wanted).abs() / wanted
    assert float(error.mean()) < 2.0**-11


def test_under_autocast_the_products_are_in_bf16_and_the_loss_near():
    torch.manual_seed(1)
    weight = torch.randn(50, 16, requires_grad=True)
    hidden = torch.randn(2, 30, 16, requires_grad=True)
    labels = torch.randint(0, 50, (2, 30))
    exact = loss.summed_cross_entropy(ModelOutput(hidden, lambda h: h @ weight.t(), weight), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = ModelOutput(hidden, lambda h: h @ weight.t(), weight)
        rounded = loss.summed_cross_entropy(output, labels)
    assert rounded != exact
    torch.testing.assert_close(rounded, exact, rtol=5e-3, atol=0)
    rounded.backward()
    assert weight.grad.dtype == hidden.grad.dtype == torch.float32
