"""The numbers that must be right, each with a negative control that breaks it on purpose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from create_llm.config.intervals import Interval
from create_llm.data.order import SampleOrder
from create_llm.data.preparation.shard_writer import ShardWriter
from create_llm.data.samples import Sample
from create_llm.data.shards import TokenShards
from create_llm.data.windows import Windows
from create_llm.models.evaluation import Score, Scores, evaluate
from create_llm.models.objective import IGNORED, Batch, Objective
from create_llm.runs.control import Control
from create_llm.runs.events import Event
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from create_llm.training.batches import Batches
from create_llm.training.callbacks import Signal
from create_llm.training.checkpointing import Model, TrainState
from create_llm.training.optimizers import OptimizerSettings, build_updates
from create_llm.training.parts import LoopSettings, Parts
from create_llm.training.schedule import Schedule
from create_llm.training.step import StepSettings
from create_llm.training.stopping import StopWatch
from create_llm.training.trainer import Trainer
from create_llm.training.wrapped import WrappedModel
from create_llm.world import SingleProcess
from create_llm_gpt.architecture import GPT
from create_llm_gpt.config import GPTConfig
from create_llm_objectives.causal import CausalObjective

CPU = torch.device("cpu")
VOCAB = 16
CONTEXT = 32


class Quiet:
    """A trainer's surroundings without log, callbacks or validation text."""

    def emit(self, event: Event) -> set[Signal]:
        return set()

    def score(self, between: object) -> Scores:
        score = Score(1.0, 1, None, 0.0)
        return Scores(score, score)

    def sample(self, step: int, between: object) -> tuple[str, str]:
        return "", ""

    def keep(self, name: str, value: object) -> None: ...


def shards(folder: Path, ids: Sequence[int], counted: Sequence[bool] | None = None) -> TokenShards:
    with ShardWriter(folder, VOCAB, eos=0) as writer:
        writer.add(ids, counted, len(ids))
        writer.close()
    return TokenShards.open(folder)


def build(
    folder: Path,
    stream: TokenShards,
    *,
    objective: Objective | None = None,
    steps: int = 60,
    batch_size: int = 8,
    accumulation: int = 1,
    learning_rate: float = 3e-3,
    optimizer: str = "adamw",
    precision: str = "fp32",
    gradient_clip: float = 1.0,
) -> Trainer:
    """A trainer of a two-layer model on a stream of tokens."""
    torch.use_deterministic_algorithms(True)
    chosen = objective or CausalObjective(None, None)
    config = GPTConfig(max_length=CONTEXT, layers=2, heads=2, dim=32, dropout=0.0)
    architecture = GPT()
    module = architecture.build(config, VOCAB)
    architecture.init(module, 1)
    windows = Windows(stream, CONTEXT + 1, shared=1)
    settings = OptimizerSettings(optimizer, learning_rate, 0.0, 0.9, 0.95)
    parts = Parts(
        model=Model(architecture, module, config, VOCAB),
        wrapped=WrappedModel(module, chosen),
        updates=build_updates(architecture.param_groups(module), settings),
        schedule=Schedule(learning_rate, 5, steps, 0.1),
        batches=Batches(windows, SampleOrder(len(windows), 1, True), chosen, 1),
        store=CheckpointStore(folder / "checkpoints", 2, Storage()),
        watch=StopWatch(Control(folder)),
        world=SingleProcess(),
        outside=Quiet(),
    )
    never = 10**9
    loop = LoopSettings(
        total_steps=steps,
        step=StepSettings(
            batch_size=batch_size,
            accumulation=accumulation,
            gradient_clip=gradient_clip,
            seed=1,
            device=CPU,
            precision=precision,
        ),
        log_interval=never,
        eval_interval=Interval(never),
        save_interval=Interval(never),
        sample_interval=Interval(never),
        save_on_interrupt=False,
    )
    return Trainer(loop, parts, TrainState())


def train(trainer: Trainer) -> Trainer:
    for _ in range(trainer.settings.total_steps):
        assert trainer.train_step()
    return trainer


def loss_on(trainer: Trainer, stream: TokenShards, objective: Objective | None = None) -> float:
    score = evaluate(
        trainer.parts.model.module,
        objective or CausalObjective(None, None),
        Windows(stream, CONTEXT + 1, shared=1),
        text_bytes=1,
        batch_size=8,
        device=CPU,
        precision="fp32",
    )
    return score.loss


class UnshiftedObjective(CausalObjective):
    """The mistake: labels are the inputs themselves, so that copying is rewarded."""

    def batch(self, samples: Sequence[Sample], seeds: Sequence[int]) -> Batch:
        batch = super().batch(samples, seeds)
        tokens = batch.inputs["tokens"]
        return replace(batch, labels=torch.where(batch.labels == IGNORED, IGNORED, tokens))


class MeanOfMicroBatches(CausalObjective):
    """The mistake: each micro-batch is averaged by itself, whatever it counts."""

    def loss(self, output, batch):  # type: ignore[no-untyped-def]
        summed = super().loss(output, batch)
        return replace(summed, total=summed.total / max(batch.count, 1))


@pytest.fixture
def uniform(tmp_path: Path) -> tuple[TokenShards, TokenShards]:
    """Independent uniform tokens, two disjoint stretches: nothing to learn beyond their entropy."""
    ids = np.random.default_rng(3).integers(1, VOCAB, 24_000).tolist()
    return shards(tmp_path / "a", ids[:16_000]), shards(tmp_path / "b", ids[16_000:])


ENTROPY = math.log(VOCAB - 1)


def test_uniform_tokens_cannot_be_predicted(tmp_path, uniform):
    train_part, fresh = uniform
    trainer = train(build(tmp_path, train_part))
    assert loss_on(trainer, fresh) >= ENTROPY - 0.01


def test_without_the_shift_uniform_tokens_seem_predictable(tmp_path, uniform):
    train_part, fresh = uniform
    mistake = UnshiftedObjective(None, None)
    trainer = train(build(tmp_path, train_part, objective=mistake))
    assert loss_on(trainer, fresh, mistake) < ENTROPY - 0.5


def test_a_fixed_cycle_is_learnt(tmp_path):
    cycle = [1, 5, 2, 9, 7, 3, 11, 4] * 1000
    trainer = train(build(tmp_path, shards(tmp_path / "c", cycle), learning_rate=1e-2))
    assert loss_on(trainer, shards(tmp_path / "d", cycle[:800])) < 0.1


def test_without_learning_the_cycle_stays_unknown(tmp_path):
    cycle = [1, 5, 2, 9, 7, 3, 11, 4] * 1000
    trainer = train(build(tmp_path, shards(tmp_path / "c", cycle), learning_rate=1e-9))
    assert loss_on(trainer, shards(tmp_path / "d", cycle[:800])) > 2.0


@pytest.fixture
def ragged(tmp_path: Path) -> TokenShards:
    """Tokens of which some count and some do not, unevenly spread over the windows."""
    rng = np.random.default_rng(5)
    ids = rng.integers(1, VOCAB, 4_000)
    counted = rng.random(4_000) < np.repeat(rng.random(40), 100)
    return shards(tmp_path / "ragged", ids.tolist(), counted.tolist())


def weights_after(trainer: Trainer) -> torch.Tensor:
    train(trainer)
    return torch.cat([p.detach().flatten() for p in trainer.parts.model.module.parameters()])


def largest_difference(tmp_path, ragged, objective=None, **changes):
    """Of the weights after three steps of (8 × 1) and of (1 × 8)."""
    options = {"steps": 3, "objective": objective, **changes}
    whole = weights_after(build(tmp_path, ragged, **options))
    split = weights_after(build(tmp_path, ragged, batch_size=1, accumulation=8, **options))
    return float((whole - split).abs().max())


SGD = {"optimizer": "sgd", "learning_rate": 0.3}


@pytest.mark.parametrize("changes", [{}, SGD], ids=["adamw", "sgd"])
def test_accumulation_does_not_change_the_step(tmp_path, ragged, changes):
    assert largest_difference(tmp_path, ragged, **changes) < 5e-5


def test_averaging_micro_batches_would_change_the_step(tmp_path, ragged):
    assert largest_difference(tmp_path, ragged, MeanOfMicroBatches(None, None), **SGD) > 1e-3


def test_a_clip_of_zero_is_no_clip(tmp_path, ragged):
    trainer = build(tmp_path, ragged, steps=3, gradient_clip=0.0)
    before = weights_of(trainer)
    assert trainer.train_step()
    assert (weights_of(trainer) - before).abs().max() > 1e-6


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(tmp_path, ragged):
    trainer = build(tmp_path, ragged, steps=3)
    assert trainer.train_step()
    before = weights_of(trainer)
    poison = trainer.parts.model.module.register_forward_pre_hook(_poison(trainer))
    assert trainer.train_step()
    poison.remove()
    torch.testing.assert_close(weights_of(trainer), before, atol=0, rtol=0)


def weights_of(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.parts.model.module.parameters()])


def _poison(trainer: Trainer):
    """A hook that makes the next loss infinite: the gradients of one parameter become NaN."""
    first = next(p for p in trainer.parts.model.module.parameters() if p.ndim == 2)

    def hook(module, args):
        first.register_hook(lambda gradient: gradient * float("nan"))

    return hook
