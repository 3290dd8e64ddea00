"""What to train, on what: decided, and on disk, before a run begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from pydantic import BaseModel
from torch import nn

from create_llm.config import Config
from create_llm.config.hardware import (
    Hardware,
    check_fit,
    detect,
    resolve_device,
    resolve_precision,
)
from create_llm.config.layers import installed_templates
from create_llm.config.training_keys import TrainingConfig
from create_llm.data.chat.template import ChatTemplate
from create_llm.data.pipeline import ensure_data, ensure_tokenizer, learnt_template
from create_llm.data.preparation.ingredients import tokenizer_sha256
from create_llm.data.preparation.prepare import Progress
from create_llm.data.preparation.prepared import PreparedData
from create_llm.data.shards import TokenShards
from create_llm.data.tokenizer import Tokenizer
from create_llm.data.windows import Windows
from create_llm.errors import ConfigError
from create_llm.kernel.plugins import Plugins
from create_llm.kernel.registry import Registry
from create_llm.models.architecture import Architecture
from create_llm.models.chosen import ChosenObjective, objective_of_run
from create_llm.models.loaded import LoadedModel
from create_llm.models.objective import Objective
from create_llm.project.folder import Project
from create_llm.storage.durable import Storage
from create_llm.training.course import Course
from create_llm.training.footprint import AnyTokenizer, Footprint, Recipe, footprint_of
from create_llm.training.initial import InitialModel, initial_identity
from create_llm.training.optimizers import OptimizerSettings
from create_llm.training.plan import disk_at_most, most_saves, needs_of
from create_llm.training.step import StepSettings

Ask = Callable[[str], bool]

_SAME_VOCABULARY = 0.02
"""By how much a vocabulary may differ from what was expected, for memory to be the same."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Who is there while a run is started.

    Attributes:
        resume: "auto", "never" or a run's id.
        ask: asks a person yes or no; None where there is nobody.
        progress: opens the display of what happens before training; closed before the loop.
        notice: hears what a person should know before training.
        command: the command line, for the run's manifest.
        course: of the run that this one is to be the same as.
        initial: what a new run begins with; None: random weights.
    """

    resume: str = "auto"
    ask: Ask | None = None
    progress: Callable[[], AbstractContextManager[Progress | None]] = nullcontext
    notice: Callable[[str], None] = lambda message: None
    command: tuple[str, ...] = ()
    course: Course | None = None
    initial: InitialModel | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What to train, on what: decided and on disk before a run is begun."""

    project: Project
    config: Config
    plugins: Plugins
    hardware: Hardware
    architecture: Architecture
    chosen_objective: ChosenObjective
    objective: Objective
    tokenizer: Tokenizer
    vocab_size: int
    data: PreparedData
    template: ChatTemplate | None
    footprint: Footprint
    initial: InitialModel | None = None
    course: Course | None = None

    def identity(self) -> dict[str, object]:
        """What makes this run this run: a change of any of it makes another one."""
        return {
            **self.config.identity(),
            **initial_identity(self.initial),
            "data": self.data.key,
            "tokenizer": tokenizer_sha256(self.tokenizer),
        }

    @property
    def model_options(self) -> BaseModel | None:
        return self.config.model.options

    @property
    def sequence_length(self) -> int:
        """Tokens that the model reads at once while training."""
        return _sequence_length(self.config)

    def loaded(self, module: nn.Module, device: torch.device) -> LoadedModel:
        """The model while it learns, as what writes and scores takes it."""
        return LoadedModel(
            self.architecture,
            module,
            self.model_options,
            self.tokenizer,
            self.objective,
            device,
            template=self.template,
        )

    def windows(self, streams: Sequence[TokenShards], stride: int | None = None) -> Windows:
        """The samples of a text, as the objective shapes them."""
        size, shared = self.objective.window(self.sequence_length), self.objective.shared
        # Unset, the stride is the sequence length, which windows may exceed or fall short of.
        chosen = None if stride in (None, self.sequence_length) else min(stride, size - shared)
        isolated = self.config.data.packing == "isolated"
        return Windows(streams, size, shared=shared, stride=chosen, isolated=isolated)


def prepare_job(
    project: Project,
    config: Config,
    plugins: Plugins,
    around: Surroundings,
    saved_bytes: int = 0,
) -> Job:
    """Choose the parts, refuse what cannot work, then make the tokenizer and the token shards.

    Args:
        saved_bytes: of the checkpoints that the run, if it is to go on, has already.
    """
    registry, hardware = plugins.registry, detect(with_gpu=True)
    architecture: Architecture = config.model.part.load()()
    chosen = objective_of_run(config, registry)
    footprint = _refuse_what_does_not_fit(config, architecture, chosen, hardware, registry)
    _refuse_a_full_disk(project, config, footprint, saved_bytes)
    with around.progress() as progress:
        tokenizer = ensure_tokenizer(project, config, chosen.control_tokens, progress=progress)
        objective = chosen.build(tokenizer)
        data = ensure_data(project, config, tokenizer, progress=progress)
    vocab_size = _vocab_size(config, tokenizer)
    if abs(vocab_size / _expected_vocab_size(config) - 1) > _SAME_VOCABULARY:
        recipe = _recipe(config, architecture, hardware, vocab_size, lambda: objective)
        footprint = footprint_of(recipe)
    return Job(
        project,
        config,
        plugins,
        hardware,
        architecture,
        chosen,
        objective,
        tokenizer,
        vocab_size,
        data,
        learnt_template(project, config, data),
        footprint,
        around.initial,
        around.course,
    )


def _refuse_what_does_not_fit(
    config: Config,
    architecture: Architecture,
    chosen: ChosenObjective,
    hardware: Hardware,
    registry: Registry,
) -> Footprint:
    """
    Raises:
        ConfigError: the memory is too small for the model and its batch.
    """
    vocab_size = _expected_vocab_size(config)
    stand_in = AnyTokenizer(vocab_size, chosen.control_tokens)
    recipe = _recipe(config, architecture, hardware, vocab_size, lambda: chosen.build(stand_in))
    footprint = footprint_of(recipe)
    needs = needs_of(footprint, recipe.step.device)
    check_fit(config, needs, hardware, installed_templates(registry))
    return footprint


def _refuse_a_full_disk(
    project: Project, config: Config, footprint: Footprint, saved_bytes: int
) -> None:
    """
    Raises:
        StorageError: less is free than the run's checkpoints take at most, or than
            checkpoints.min_free_gb asks for.
    """
    limit = config.checkpoints.save_total_limit
    checkpoints = disk_at_most(footprint, most_saves(config.training), limit) - saved_bytes
    asked = round(config.checkpoints.min_free_gb * 1e9)
    what = "this run" if checkpoints >= asked else "checkpoints.min_free_gb"
    Storage().ensure_free(project.checkpoints, max(checkpoints, asked), what)


def _recipe(
    config: Config,
    architecture: Architecture,
    hardware: Hardware,
    vocab_size: int,
    objective: Callable[[], Objective],
) -> Recipe:
    training = config.training
    step = StepSettings(
        batch_size=training.batch_size,
        accumulation=training.gradient_accumulation_steps,
        gradient_clip=training.gradient_clip,
        seed=training.seed,
        device=torch.device(resolve_device(config, hardware)),
        precision=resolve_precision(config, hardware)[0],
    )
    return Recipe(
        architecture,
        config.model.options,
        vocab_size,
        objective,
        _sequence_length(config),
        step,
        optimizer_settings(training),
        training.gradient_checkpointing,
    )


def optimizer_settings(training: TrainingConfig) -> OptimizerSettings:
    return OptimizerSettings(
        training.optimizer,
        training.learning_rate,
        training.weight_decay,
        training.beta1,
        training.beta2,
    )


def _sequence_length(config: Config) -> int:
    length = config.data.max_length
    assert length is not None, "load_config fills in what follows another key"
    return length


def _expected_vocab_size(config: Config) -> int:
    """Before the tokenizer exists: what its options ask for, by the name they all use."""
    asked: int | None = getattr(config.tokenizer.options, "vocab_size", None)
    return config.vocab_size or asked or 256


def _vocab_size(config: Config, tokenizer: Tokenizer) -> int:
    """The model's vocabulary: the tokenizer's, or a larger one that was asked for."""
    asked = config.vocab_size
    if asked is not None and asked < tokenizer.vocab_size:
        raise ConfigError(
            f"model.vocab_size is {asked}, but the tokenizer has {tokenizer.vocab_size} tokens",
            where=str(config.settings["model.vocab_size"].source),
            fixes=("leave model.vocab_size out: it follows the tokenizer",),
        )
    return asked or tokenizer.vocab_size
