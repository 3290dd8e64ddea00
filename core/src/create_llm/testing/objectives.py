"""The contract of objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from create_llm.data.samples import Sample
from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import IGNORED, Batch, LossOutput, Objective
from create_llm.testing.base import PartContract

_VOCABULARY, _WIDTH = 50, 8


class ObjectiveContract(PartContract):
    """What a model is trained to do: samples to a batch, a model's output to a loss."""

    kind = "objectives"

    def samples(self) -> list[Sample]:
        """What batches are made of: lengths differ, and some tokens do not count."""
        random = np.random.default_rng(5)
        samples = []
        for length in (25, 25, 12, 19):
            tokens = random.integers(5, _VOCABULARY, length)
            counted = None if length == 12 else random.random(length) < 0.7
            for array in (tokens, counted):
                if array is not None:
                    array.flags.writeable = False  # shards are memory-mapped
            samples.append(Sample(tokens, counted))
        return samples

    def test_batch_is_of_integers_row_by_row(self) -> None:
        """Inputs and labels are integer tensors on the CPU, a row a sample."""
        batch = self._batch(self.samples())
        rows = len(self.samples())
        assert batch.inputs, "no inputs"
        for name, tensor in batch.inputs.items():
            assert tensor.shape[0] == rows, f"{name} has {tensor.shape[0]} rows for {rows} samples"
            assert not tensor.is_floating_point(), f"{name} is {tensor.dtype}"
            assert tensor.device.type == "cpu"
        assert batch.labels.dtype == torch.int64
        assert batch.labels.shape[0] == rows

    def test_count_is_known_before_the_forward(self) -> None:
        """`count` is a host integer, the number of labels that count: the loss of the whole
        accumulated batch is divided by the sum of them."""
        batch = self._batch(self.samples())
        assert type(batch.count) is int, f"count is {type(batch.count).__name__}"
        assert batch.count == int((batch.labels != IGNORED).sum())
        assert batch.count > 0

    def test_labels_are_shifted_once(self) -> None:
        """Where the model sees the tokens themselves, it predicts the next one: not the one it
        sees, not the one after."""
        samples = self.samples()
        batch = self._batch(samples)
        for row, sample in enumerate(samples):
            for tensor in batch.inputs.values():
                self._check_shift(sample, tensor[row], batch.labels[row])

    def test_batch_draws_from_rng_alone(self) -> None:
        """The same `rng` makes the same batch, whatever global generators did: a resumed run
        reads what the first would have."""
        batches = []
        for state in (1, 2):
            np.random.seed(state)
            torch.manual_seed(state)
            batches.append(self._batch(self.samples(), seed=1))
        first, again = batches
        assert torch.equal(first.labels, again.labels)
        assert all(torch.equal(first.inputs[name], again.inputs[name]) for name in first.inputs)

    def test_loss_is_accumulation_invariant(self) -> None:
        """Batch 4 x 1 equals 1 x 4: losses of the rows of a batch add up to that of the batch."""
        batch = self._batch(self.samples())
        whole = self._loss(batch).total.item()
        parts = sum(self._loss(row).total.item() for row in _rows(batch))
        assert np.isclose(whole, parts, rtol=1e-5), f"{whole:.4f} against {parts:.4f}"

    def test_batches_are_accumulation_invariant(self) -> None:
        """An objective that draws nothing makes the same of samples together and apart: nothing
        is cut to the shortest, and padding counts for nothing."""
        samples, random = self.samples(), np.random.default_rng(0)
        before = str(random.bit_generator.state)
        whole = self._objective().batch(samples, random)
        if str(random.bit_generator.state) != before:
            return
        parts = [self._batch([sample]) for sample in samples]
        assert whole.count == sum(part.count for part in parts)
        apart = sum(self._loss(part).total.item() for part in parts)
        together = self._loss(whole).total.item()
        assert np.isclose(together, apart, rtol=1e-5), f"{together:.4f} against {apart:.4f}"

    def test_loss_is_a_scalar_in_fp32(self) -> None:
        """The sum of a million terms in bf16 is no sum; figures beside it are scalars as well."""
        batch = self._batch(self.samples())
        for dtype in (torch.float32, torch.bfloat16):
            loss = self._loss(batch, dtype=dtype)
            assert isinstance(loss, LossOutput)
            assert loss.total.shape == ()
            assert loss.total.dtype == torch.float32, f"{loss.total.dtype} of a {dtype} model"
            assert all(figure.shape == () for figure in loss.metrics.values())

    def test_gradients_come_from_counted_places_alone(self) -> None:
        """What does not count pulls at nothing, and what counts does."""
        batch = self._batch(self.samples())
        output = _model(batch)
        torch.autograd.backward(self._objective().loss(output, batch).total)
        gradient = output.hidden.grad
        assert gradient is not None, "no gradient reaches the model"
        if gradient.shape[:2] == batch.labels.shape:
            pulled, counted = gradient.abs().sum(-1) > 0, batch.labels != IGNORED
            assert not (pulled & ~counted).any(), "a place that does not count has a gradient"
            assert pulled[counted].all(), "a place that counts has no gradient"

    def _objective(self) -> Objective:
        objective: Objective = self.part().load()(self.config())
        return objective

    def _batch(self, samples: Sequence[Sample], seed: int = 0) -> Batch:
        return self._objective().batch(samples, np.random.default_rng(seed))

    def _loss(self, batch: Batch, dtype: torch.dtype = torch.float32) -> LossOutput:
        return self._objective().loss(_model(batch, dtype), batch)

    def _check_shift(self, sample: Sample, inputs: Tensor, labels: Tensor) -> None:
        length = min(len(sample.tokens) - 1, len(inputs))
        if not np.array_equal(inputs[:length].numpy(), sample.tokens[:length]):
            return  # the model sees something else: masked text, say
        for place in (labels != IGNORED).nonzero().flatten().tolist():
            wanted = place + 1 < len(sample.tokens) and sample.tokens[place + 1]
            assert labels[place] == wanted, f"place {place} predicts another token than the next"
            assert sample.counted is None or sample.counted[place + 1], (
                f"place {place} counts, though the sample says that it does not"
            )


def _model(batch: Batch, dtype: torch.dtype = torch.float32) -> ModelOutput:
    """A stand-in that embeds its inputs and projects them; the same one each time."""
    generator = torch.Generator().manual_seed(8)
    table = torch.randn(_VOCABULARY, _WIDTH, generator=generator)
    head = torch.randn(_WIDTH, _VOCABULARY, generator=generator).to(dtype)
    embedded = [table[tensor % _VOCABULARY] for tensor in batch.inputs.values()]
    hidden = torch.stack(embedded).sum(0).to(dtype).requires_grad_()
    return ModelOutput(hidden=hidden, head=lambda states: states @ head)


def _rows(batch: Batch) -> list[Batch]:
    rows = []
    for row in range(batch.labels.shape[0]):
        labels = batch.labels[row : row + 1]
        inputs = {name: tensor[row : row + 1] for name, tensor in batch.inputs.items()}
        rows.append(Batch(inputs, labels, int((labels != IGNORED).sum())))
    return rows
