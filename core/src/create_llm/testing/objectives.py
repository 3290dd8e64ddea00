"""The contract of objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from create_llm.data.samples import Sample
from create_llm.data.tokenizer import SpecialTokens
from create_llm.errors import DataError
from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import IGNORED, Batch, LossOutput, Objective
from create_llm.testing.base import PartContract

_VOCABULARY, _TABLE, _WIDTH = 50, 400, 8


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

    def test_is_an_objective(self) -> None:
        """It is an `Objective`; prompts are integer tensors with a batch of one, and what it adds
        to config.json are numbers."""
        objective = self._objective()
        assert isinstance(objective, Objective)
        for name, tensor in objective.prompt([6, 7, 8]).items():
            assert not tensor.is_floating_point(), f"{name} is {tensor.dtype}"
            assert tensor.shape[0] == 1, f"{name} has the shape {list(tensor.shape)}"
        assert all(type(value) is int for value in objective.hf_config().values())

    def test_names_the_control_tokens_that_it_needs(self) -> None:
        """With the control tokens that it asks for it works, without them it says so: they are
        reserved when a tokenizer is trained, and somebody else's tokenizer may lack them."""
        if not self._type().control_tokens:
            pytest.skip(f"'{self.name}' needs no control tokens of its own")
        with pytest.raises(DataError) as caught:
            self._type()(self.config(), _StandIn(()))
        assert caught.value.fixes, "the error does not say what to do"

    def test_batches_fit_the_model(self) -> None:
        """Samples of `window(context)` tokens become inputs of at most `context`."""
        random = np.random.default_rng(4)
        for context in (4, 16, 100):
            size = self._objective().window(context)
            assert size > self._type().shared, f"a window of {size} tokens"
            batch = self._batch([Sample(random.integers(5, _VOCABULARY, size)) for _ in range(8)])
            for name, tensor in batch.inputs.items():
                assert tensor.shape[1] <= context, f"{name}: {tensor.shape[1]} for {context}"

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
        """Where the first token of a sample is only read, each is predicted from those before: the
        next one, not the one it sees, not the one after. A decoder sees its labels one later."""
        samples = self.samples()
        batch = self._batch(samples)
        for row, sample in enumerate(samples):
            if self._type().shared:
                self._check_shift(sample, batch.inputs["tokens"][row], batch.labels[row])
        if "decoder_tokens" in batch.inputs:
            seen, labels = batch.inputs["decoder_tokens"][:, 1:], batch.labels[:, :-1]
            follows = (seen == labels) | (labels == IGNORED) | (batch.labels[:, 1:] == IGNORED)
            assert follows.all(), "decoder_tokens are not the labels, one later"

    def test_only_what_counts_is_predicted(self) -> None:
        """A token that does not count, the user's turn of a conversation, is no label."""
        tokens = np.random.default_rng(2).permutation(np.arange(5, _VOCABULARY))[:30]
        counted = np.arange(30) % 2 == 0
        for seed in range(5):
            labels = self._batch([Sample(tokens, counted)], seed).labels
            wrong = set(labels.flatten().tolist()) & set(tokens[~counted].tolist())
            assert not wrong, f"{len(wrong)} tokens are predicted that do not count"

    def test_what_is_to_be_guessed_is_hidden(self) -> None:
        """Where labels stand at the places of their own tokens, most of those are not seen, and
        another seed hides others."""
        if self._type().shared:
            pytest.skip(f"'{self.name}' predicts what comes next")
        tokens = np.random.default_rng(2).integers(5, _VOCABULARY, 40)
        batches = [self._batch([Sample(tokens)] * 4, seed) for seed in (0, 100)]
        first, other = [batch.inputs["tokens"] for batch in batches]
        assert not torch.equal(first, other), "each seed hides the same"
        labels = batches[0].labels
        if first.shape == labels.shape:
            seen = (first == labels)[labels != IGNORED].float().mean().item()
            assert seen < 0.5, f"{seen:.0%} of the tokens to guess can be seen"

    def test_batch_draws_from_seeds_alone(self) -> None:
        """The same seeds make the same batch, whatever global generators did: a resumed run
        reads what the first would have."""
        batches = []
        for state in (1, 2):
            np.random.seed(state)
            torch.manual_seed(state)
            batches.append(self._batch(self.samples(), first=1))
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
        """Of samples together and apart it makes the same: each draws from its own seed, nothing
        is cut to the shortest, and padding counts for nothing."""
        samples = self.samples()
        whole = self._batch(samples)
        parts = [self._batch([sample], seed) for seed, sample in enumerate(samples)]
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

    def _type(self) -> type[Objective]:
        target: type[Objective] = self.part().load()
        return target

    def _objective(self) -> Objective:
        return self._type()(self.config(), _StandIn(self._type().control_tokens))

    def _batch(self, samples: Sequence[Sample], first: int = 0) -> Batch:
        """Sample i has the seed first + i."""
        seeds = range(first, first + len(samples))
        return self._objective().batch(samples, seeds)

    def _loss(self, batch: Batch, dtype: torch.dtype = torch.float32) -> LossOutput:
        return self._objective().loss(_model(batch, dtype), batch)

    def _check_shift(self, sample: Sample, inputs: Tensor, labels: Tensor) -> None:
        length = min(len(sample.tokens) - 1, len(inputs))
        assert np.array_equal(inputs[:length].numpy(), sample.tokens[:length]), "other inputs"
        for place in (labels != IGNORED).nonzero().flatten().tolist():
            wanted = place + 1 < len(sample.tokens) and sample.tokens[place + 1]
            assert labels[place] == wanted, f"place {place} predicts another token than the next"
            assert sample.counted is None or sample.counted[place + 1], (
                f"place {place} counts, though the sample says that it does not"
            )


def _model(batch: Batch, dtype: torch.dtype = torch.float32) -> ModelOutput:
    """A stand-in that embeds the tokens that stand where labels do, and projects them; the same
    one each time."""
    generator = torch.Generator().manual_seed(8)
    table = torch.randn(_TABLE, _WIDTH, generator=generator)
    head = torch.randn(_WIDTH, _TABLE, generator=generator).to(dtype)
    tokens = batch.inputs.get("decoder_tokens", batch.inputs["tokens"])
    hidden = table[tokens].to(dtype).requires_grad_()
    return ModelOutput(hidden=hidden, head=lambda states: states @ head)


class _StandIn:
    """A tokenizer of 50 ids, with the control tokens that are asked for behind them."""

    def __init__(self, control_tokens: Sequence[str]) -> None:
        usual = {"<pad>": 0, "</s>": 1, "<s>": 2, "<unk>": 3}
        asked = {name: _VOCABULARY + place for place, name in enumerate(control_tokens)}
        self.vocab_size = _VOCABULARY + len(asked)
        named: Mapping[str, int] = {**usual, **asked}
        self.special = SpecialTokens(1, 2, 0, 3, named.get("<mask>"), named)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [[5 + byte % 45 for byte in text.encode()] for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))

    def token(self, token_id: int) -> str:
        return f"token {token_id}"

    def save(self, folder: Path) -> None:
        raise OSError("a stand-in is not saved")


def _rows(batch: Batch) -> list[Batch]:
    rows = []
    for row in range(batch.labels.shape[0]):
        labels = batch.labels[row : row + 1]
        inputs = {name: tensor[row : row + 1] for name, tensor in batch.inputs.items()}
        rows.append(Batch(inputs, labels, int((labels != IGNORED).sum())))
    return rows
