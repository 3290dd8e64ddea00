"""The causal objective: one shift, honest counts, chunks that change nothing."""

from __future__ import annotations

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


@pytest.mark.parametrize("chunk", [7, 10_000])
def test_chunks_change_neither_the_loss_nor_the_gradients(monkeypatch, chunk):
    monkeypatch.setattr(loss, "CHUNK", chunk)
    objective = CausalObjective(None, None)
    samples = [sample(RNG.integers(0, 11, 25)), sample(RNG.integers(0, 11, 18))]
    batch = objective.batch(samples, [0, 1])
    output, head = outputs(48)
    objective.loss(output, batch).total.backward()
    got = (output.hidden.grad.clone(), head.weight.grad.clone())
    output.hidden.grad = head.weight.grad = None
    whole = F.cross_entropy(
        output.logits().flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    whole.backward()
    torch.testing.assert_close(got[0], output.hidden.grad)
    torch.testing.assert_close(got[1], head.weight.grad)
