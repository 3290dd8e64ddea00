"""`llm train --plan`: what a run would take, from a few real steps that leave nothing behind."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import torch

from create_llm.config import Config
from create_llm.data.tokenizer_files import TOKENIZER_FILE
from create_llm.data.windows import Windows
from create_llm.kernel.plugins import Plugins
from create_llm.models.architecture import Decoder, count_parameters
from create_llm.models.evaluation import evaluate
from create_llm.models.generation import Sampling, TextStream
from create_llm.project.folder import Project
from create_llm.runs.report import disk_bytes
from create_llm.storage.disk import Disk
from create_llm.training.asking import sample_prompt
from create_llm.training.assemble import build_model, loop_settings, schedule_of
from create_llm.training.blocks import choice_without_trial
from create_llm.training.checkpointing import TrainState, snapshot
from create_llm.training.epochs import Epochs
from create_llm.training.footprint import Kit
from create_llm.training.frozen import Frozen, decide
from create_llm.training.job import Job, Surroundings, optimizer_settings, prepare_job
from create_llm.training.machine import in_words
from create_llm.training.memory import keep_freed_memory, memory_in_use
from create_llm.training.mixing import batches_of, passes_of
from create_llm.training.optimizers import build_updates
from create_llm.training.parts import LoopSettings
from create_llm.training.plan import (
    Intervals,
    Occasions,
    Pace,
    disk_at_end,
    disk_at_most,
    occasions_of,
    peak_memory,
    seconds_of,
)
from create_llm.training.step import TrainStep
from create_llm.training.wrapped import WrappedModel
from create_llm.world import SingleProcess

_LEAST_STEPS, _MOST_STEPS = 3, 8
_PROBE_SECONDS = 20.0
_SCORED = 2
"""Batches of the validation part that are scored."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What `llm train --plan` tells; the names are those of its JSON.

    Attributes:
        steps_set_by: "max_steps", "epochs" or "max_seconds".
        epochs: passes over the text.
        passes: of each source of a mixture, how often an epoch reads it.
        memory_unknown: why the memory of activations is left out; None: it is not.
        disk_bytes: at the end; `disk_most_bytes` while the run replaces old checkpoints.
        compile: "on", "off" or "tried": then a trial at the start of the run decides.
        prepared: of "tokenizer" and "data", what was made for this plan and stays.
        hardware_words: the machine in one line.
    """

    parameters: int
    train_tokens: int
    val_tokens: int
    tokens_per_epoch: int
    tokens_per_step: int
    steps_per_epoch: float
    steps: int
    steps_set_by: str
    epochs: float
    passes: dict[str, float]
    peak_memory_bytes: int
    available_memory_bytes: int
    memory_unknown: str | None
    disk_bytes: int
    disk_most_bytes: int
    disk_free_bytes: int
    checkpoint_bytes: int
    checkpoints: int
    evaluations: int
    samples: int
    seconds_low: float
    seconds_high: float
    tokens_per_second: float
    precision: str
    precision_reason: str
    compile: str
    compile_reason: str
    gradient_checkpointing: bool
    device: str
    threads: int
    hardware: dict[str, object]
    hardware_words: str
    prepared: tuple[str, ...]


def preview(project: Project, config: Config, plugins: Plugins, around: Surroundings) -> Preview:
    """Prepare what a run would prepare, take a few steps of a model, and forget that.

    Raises:
        CreateLLMError: whatever would refuse the run before it began.
    """
    tokenizer = project.tokenizer / TOKENIZER_FILE
    before = _modified(tokenizer)
    job = prepare_job(project, config, plugins, around)
    prepared = [] if _modified(tokenizer) == before else ["tokenizer"]
    if not job.data.cached:
        prepared.append("data")
    trial = _Trial(job, decide(job))
    try:
        return _preview(job, trial, tuple(prepared))
    finally:
        trial.close()


def _modified(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


class _Trial:
    """A model that is made to take a few steps, and everything those need."""

    def __init__(self, job: Job, frozen: Frozen) -> None:
        self.job, self.frozen = job, frozen
        self.device = torch.device(frozen.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.resident = memory_in_use(self.device)
        self.windows = job.windows(job.data.train_streams, job.config.data.stride)
        self.settings = loop_settings(job, self.windows, frozen, 1, every_step=False)
        self.kit = _kit(job, self.settings, self.windows, self.device)
        # One micro-batch is enough: a step takes as many times as long as it has of them.
        self._step = TrainStep(replace(self.settings.step, accumulation=1), self.kit)

    def close(self) -> None:
        self._step.close()

    def step_seconds(self) -> list[float]:
        """Of a few whole steps, once everything is warm."""
        self._take(0)
        until = time.perf_counter() + _PROBE_SECONDS
        seconds: list[float] = []
        while len(seconds) < _LEAST_STEPS or (
            len(seconds) < _MOST_STEPS and time.perf_counter() < until
        ):
            seconds.append(self._take(1 + len(seconds)) * self.settings.step.accumulation)
        return seconds

    def pace(self) -> Pace:
        """The seconds of everything that takes time in a run."""
        return Pace(
            self.step_seconds(),
            evaluation=self._evaluation(),
            sample=_seconds(self._sample) if self._writes else 0.0,
            stall=_seconds(lambda: snapshot(self.kit, self._step.scale, TrainState()).staged()),
        )

    @property
    def _writes(self) -> bool:
        return isinstance(self.job.architecture, Decoder)

    def _take(self, step: int) -> float:
        started = time.perf_counter()
        taken = self._step.take(step, lambda: False)
        assert taken is not None, "nobody stops a trial"
        taken.loss.item()  # waits for the device
        return time.perf_counter() - started

    def _evaluation(self) -> float:
        """Of the whole validation part, from the first of its batches."""
        windows, size = self.job.windows(self.job.data.val_streams), self.settings.step.batch_size
        few = _First(windows, min(_SCORED * size, len(windows)))
        seconds = _seconds(lambda: self._score(few))
        return seconds * len(windows) / max(len(few), 1)

    def _score(self, windows: Windows) -> None:
        evaluate(
            self.kit.model.module,
            self.job.objective,
            windows,
            text_bytes=1,
            batch_size=self.settings.step.batch_size,
            device=self.device,
            precision=self.frozen.precision,
        )

    def _sample(self) -> None:
        module = self.kit.model.module
        model = self.job.loaded(module, self.device)
        sampling = Sampling(self.job.config.generation.max_new_tokens, seed=0)
        module.eval()
        for _ in TextStream(model, sample_prompt(self.job, model), sampling, lambda text: None):
            pass
        module.train()


class _First(Windows):
    """The first windows of a text."""

    def __init__(self, windows: Windows, count: int) -> None:
        super().__init__(
            windows.streams, windows.size, shared=windows.shared, stride=windows.stride
        )
        self._count = count

    def __len__(self) -> int:
        return self._count


def _kit(job: Job, settings: LoopSettings, windows: Windows, device: torch.device) -> Kit:
    model = build_model(job, device)
    groups = model.architecture.param_groups(model.module)
    return Kit(
        model,
        WrappedModel(model.module, job.objective),
        build_updates(groups, optimizer_settings(job.config.training)),
        schedule_of(job, settings.total_steps),
        batches_of(job, windows),
        SingleProcess(),
    )


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _preview(job: Job, trial: _Trial, prepared: tuple[str, ...]) -> Preview:
    training, settings = job.config.training, trial.settings
    per_step = settings.step.batch_size * settings.step.accumulation
    epochs = Epochs(len(trial.windows), per_step)
    pace = trial.pace()
    steps, set_by = _steps(job, settings, pace)
    intervals = Intervals(settings.save_interval, settings.eval_interval, settings.sample_interval)
    occasions = occasions_of(steps, intervals, epochs)
    low, high = seconds_of(steps, occasions, pace)
    compiled = choice_without_trial(training.compile, trial.frozen.device, low)
    tokens = per_step * job.sequence_length
    return Preview(
        parameters=count_parameters(job.architecture, job.model_options, job.vocab_size),
        train_tokens=job.data.train.tokens,
        val_tokens=job.data.val.tokens,
        tokens_per_epoch=_tokens_per_epoch(trial.windows),
        tokens_per_step=tokens,
        steps_per_epoch=epochs.steps,
        steps=steps,
        steps_set_by=set_by,
        epochs=steps / epochs.steps,
        passes=passes_of(job, trial.windows),
        peak_memory_bytes=trial.resident
        + peak_memory(job.footprint, occasions, trial.device, job.hardware.available_ram_bytes),
        available_memory_bytes=job.hardware.available_ram_bytes,
        memory_unknown=job.footprint.unknown,
        **_disk(job, occasions),
        checkpoint_bytes=job.footprint.checkpoint,
        checkpoints=occasions.saves,
        evaluations=occasions.evaluations,
        samples=occasions.samples,
        seconds_low=round(low, 1),
        seconds_high=round(high, 1),
        tokens_per_second=round(tokens / median(pace.steps), 1),
        precision=trial.frozen.precision,
        precision_reason=trial.frozen.precision_reason,
        compile="tried" if compiled is None else "on" if compiled.on else "off",
        compile_reason=compiled.reason
        if compiled
        else "a trial at the start of the run measures whether it pays",
        gradient_checkpointing=training.gradient_checkpointing,
        device=trial.frozen.device,
        threads=trial.frozen.threads,
        hardware=asdict(job.hardware),
        hardware_words=in_words(job.hardware),
        prepared=prepared,
    )


def _steps(job: Job, settings: LoopSettings, pace: Pace) -> tuple[int, str]:
    """How many steps the run has, and which key says so."""
    training = job.config.training
    steps, set_by = settings.total_steps, settings.set_by
    if training.max_seconds is not None:
        fitting = max(math.floor(training.max_seconds / median(pace.steps)), 1)
        if fitting < steps:
            return fitting, "max_seconds"
    return steps, set_by


def _disk(job: Job, occasions: Occasions) -> dict[str, int]:
    limit, shards = job.config.checkpoints.save_total_limit, disk_bytes(job.data.folder)
    folder = job.project.root
    return {
        "disk_bytes": shards + disk_at_end(job.footprint, occasions, limit),
        "disk_most_bytes": shards + disk_at_most(job.footprint, occasions.saves, limit),
        "disk_free_bytes": Disk().free_bytes(folder),
    }


def _tokens_per_epoch(windows: Windows) -> int:
    own = windows.size - windows.shared
    if windows.stride == own:
        return sum(stream.tokens for stream in windows.streams)
    return len(windows) * own
