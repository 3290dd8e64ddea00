"""Documents that are packed into one window, read as if each stood alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from create_llm.data.samples import Sample
from create_llm_gpt.architecture import GPT
from create_llm_gpt.config import GPTConfig
from create_llm_objectives.causal import CausalObjective

VOCABULARY, EOS = 50, 0
LENGTHS = (1, 30, 7, 150, 12)


def documents() -> list[np.ndarray]:
    """Each with the end-of-text token before it."""
    draw = np.random.default_rng(4)
    return [np.r_[EOS, draw.integers(1, VOCABULARY, size=length)] for length in LENGTHS]


def loss_and_gradients(form: str, samples: list[Sample]) -> list[torch.Tensor]:
    """The loss summed over samples that are read one by one, and every parameter's gradient."""
    architecture, objective = GPT(), CausalObjective(None, None)
    module = architecture.build(
        GPTConfig(form=form, layers=2, heads=2, dim=16, max_length=256, dropout=0.0), VOCABULARY
    )
    architecture.init(module, 1)
    total = torch.zeros(())
    for number, sample in enumerate(samples):
        batch = objective.batch([sample], [number])
        total = total + objective.loss(module(**batch.inputs), batch).total
    total.backward()
    return [total.detach(), *(parameter.grad for parameter in module.parameters())]


@pytest.mark.parametrize("form", ["gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("isolated", [True, False])
def test_packed_loss_is_unpacked_loss(form: str, isolated: bool) -> None:
    parts = [*documents(), np.array([EOS])]
    stream = np.concatenate(parts)
    numbers = np.repeat(np.arange(len(parts)), [len(part) for part in parts]).astype(np.int32)
    packed = Sample(stream, segments=numbers if isolated else None)
    alone = [Sample(np.r_[document, EOS]) for document in documents()]
    pairs = list(
        zip(loss_and_gradients(form, [packed]), loss_and_gradients(form, alone), strict=True)
    )
    if isolated:
        for got, wanted in pairs:
            torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)
    else:  # what the isolation is for
        assert not all(torch.allclose(*pair, rtol=1e-4, atol=1e-4) for pair in pairs)


def test_rows_of_different_lengths_are_padded_apart() -> None:
    long, short = documents()[3], documents()[2]
    together = [Sample(row, segments=np.zeros(len(row), np.int32)) for row in (long, short)]
    batch = CausalObjective(None, None).batch(together, [0, 1])
    assert batch.inputs["segments"].shape == batch.inputs["tokens"].shape
    assert int(batch.inputs["segments"][1, -1]) > 0
    module = GPT().build(
        GPTConfig(layers=1, heads=2, dim=16, max_length=256, dropout=0.0), VOCABULARY
    )
    GPT().init(module, 1)
    row = CausalObjective(None, None).batch([Sample(short)], [0])
    with torch.no_grad():
        got = module(**batch.inputs).logits()[1, : len(short) - 1]
        torch.testing.assert_close(got, module(**row.inputs).logits()[0])
