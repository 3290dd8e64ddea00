"""How much memory a run takes, found out without taking any.

The real step, its update and an evaluation run on tensors that have a shape and no values (torch's
FakeTensorMode), and what is alive is added up at each operation. So whatever a model keeps for its
backward pass, an objective makes of its logits or an optimizer keeps is counted as it is, for every
architecture, without a formula that could grow old. It takes about a fifth of a millisecond an
operation: half a second for a model of four layers.
"""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from create_llm.config.hardware import STATE_BYTES
from create_llm.data.order import SampleOrder
from create_llm.data.samples import Sample
from create_llm.data.tokenizer import SpecialTokens
from create_llm.data.windows import Windows
from create_llm.models.architecture import Architecture, count_parameters
from create_llm.models.objective import Batch, Objective
from create_llm.models.precision import autocast
from create_llm.training.batches import Batches
from create_llm.training.blocks import recompute
from create_llm.training.checkpointing import Model, TrainState, snapshot
from create_llm.training.optimizers import OptimizerSettings, Updates, build_updates
from create_llm.training.schedule import Schedule
from create_llm.training.step import StepSettings, TrainStep
from create_llm.training.wrapped import WrappedModel
from create_llm.world import SingleProcess, World


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes on the device, for a model of so many parameters.

    Attributes:
        weights: of the model.
        state: these and the optimizer's state, which stay.
        step: the most that a step holds beside them, its gradients among it.
        evaluation: the most that scoring one batch holds beside them.
        checkpoint: tensors of a checkpoint.
        unknown: why `step` and `evaluation` hold no activations; None: they do.
    """

    parameters: int
    weights: int
    state: int
    step: int
    evaluation: int
    checkpoint: int
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """What takes memory.

    Attributes:
        objective: makes it; for a tokenizer that is not there yet, see `AnyTokenizer`.
        length: tokens that the model reads at once.
    """

    architecture: Architecture
    options: Any
    vocab_size: int
    objective: Callable[[], Objective]
    length: int
    step: StepSettings
    optimizer: OptimizerSettings
    gradient_checkpointing: bool


def footprint_of(recipe: Recipe) -> Footprint:
    """Take a step and an evaluation without values, and count.

    A model whose code asks for values, as few do, is counted without what it keeps for its backward
    pass; `unknown` then says why.
    """
    try:
        return _counted(recipe)
    # Whatever a plugin's code raises here it raises again in the real step, if it is a mistake.
    except Exception as error:
        return _without_activations(recipe, f"{type(error).__name__}: {error}".splitlines()[0])


def _counted(recipe: Recipe) -> Footprint:
    live, objective = _Live(), recipe.objective()
    with _quiet(), FakeTensorMode(allow_non_fake_inputs=True), live:
        parts = _build(recipe, objective)
        weights = live.now
        _fill_state(parts)
        state = live.now
        with_step = live.most(lambda: _take_step(recipe, parts))
        with_evaluation = live.most(lambda: _evaluate(recipe, parts))
        checkpoint = snapshot(parts, None, TrainState()).bytes
        parameters = sum(each.numel() for each in parts.model.module.parameters())
    return Footprint(
        parameters, weights, state, with_step - state, with_evaluation - state, checkpoint
    )


def _build(recipe: Recipe, objective: Objective) -> Kit:
    architecture = recipe.architecture
    with recipe.step.device:
        module = architecture.build(recipe.options, recipe.vocab_size)
    if recipe.gradient_checkpointing:
        recompute(architecture.blocks(module))
    text = _AnyText(recipe, objective)
    return Kit(
        Model(architecture, module, recipe.options, recipe.vocab_size),
        WrappedModel(module, objective),
        build_updates(architecture.param_groups(module), recipe.optimizer),
        Schedule(recipe.optimizer.learning_rate, 0, 2, 1.0),
        _MadeOutside(text, SampleOrder(len(text), recipe.step.seed, False), objective, 0),
        SingleProcess(),
    )


def _fill_state(parts: Kit) -> None:
    """Let the optimizer make the state that it otherwise makes at its first update."""
    for parameter in parts.model.module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    device = next(parts.model.module.parameters()).device
    parts.updates.step_unless(torch.zeros((), dtype=torch.bool, device=device), 0.0)
    parts.updates.zero_grad()


def _take_step(recipe: Recipe, parts: Kit) -> None:
    # From the second micro-batch on, gradients are there already: more of them change nothing.
    settings = replace(recipe.step, accumulation=min(recipe.step.accumulation, 2))
    step = TrainStep(settings, parts)
    try:
        step.take(0, lambda: False)
    finally:
        step.close()


@torch.no_grad()
def _evaluate(recipe: Recipe, parts: Kit) -> None:
    parts.model.module.eval()
    batch = parts.batches.micro(range(recipe.step.batch_size))
    with autocast(recipe.step.device, recipe.step.precision):
        parts.wrapped(batch.to(recipe.step.device))


def _without_activations(recipe: Recipe, why: str) -> Footprint:
    parameters = count_parameters(recipe.architecture, recipe.options, recipe.vocab_size)
    weights = gradients = 4 * parameters
    state = parameters * STATE_BYTES[recipe.optimizer.name] - gradients
    return Footprint(parameters, weights, state, gradients, 0, state, why)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's own report of what failed, which `unknown` tells in one line."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@dataclass(frozen=True, slots=True)
class Kit:
    """What a step works with, and nothing that a run has beside it."""

    model: Model
    wrapped: WrappedModel
    updates: Updates
    schedule: Schedule
    batches: Batches
    world: World


class _MadeOutside(Batches):
    """Batches with values, which an objective looks at while it makes them."""

    def micro(self, numbers: range) -> Batch:
        with _disable_current_modes():
            return Batches.micro(self, numbers)


class _AnyText(Windows):
    """The windows of one micro-batch of a text that is not there."""

    def __init__(self, recipe: Recipe, objective: Objective) -> None:
        self.size = objective.window(recipe.length)
        self._count = recipe.step.batch_size
        self._tokens = np.arange(self.size, dtype=np.int64) % recipe.vocab_size

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, i: int) -> Sample:
        return Sample(self._tokens)


class AnyTokenizer:
    """Stands in for a tokenizer that is yet to be trained: its ids have no spelling."""

    def __init__(self, vocab_size: int, control_tokens: Sequence[str]) -> None:
        self.vocab_size = vocab_size
        named = {name: 5 + place for place, name in enumerate(control_tokens)}
        self.special = SpecialTokens(0, bos=1, pad=2, unk=3, mask=4, named=named)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [[self.special.eos] * len(text) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return ""

    def token(self, token_id: int) -> str:
        return ""

    def save(self, folder: Path) -> None: ...


class _Live(TorchDispatchMode):
    """Adds up the storages that are alive, at each operation.

    Attributes:
        now: bytes.
        peak: the most since `most` was asked.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def most(self, action: Callable[[], None]) -> int:
        """The most bytes that were alive at one time while something was done."""
        self.peak = self.now
        action()
        return self.peak

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return 0  # asked for a value where there is none
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._add(leaf.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return

        def gone(_: weakref.ref[torch.UntypedStorage]) -> None:
            self.now -= size
            del self._alive[key]

        self._alive[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)
