"""summary.json: how a run ended, and what it measured."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from create_llm.models.bundle import ModelBundle
from create_llm.runs.run import SUMMARY_SCHEMA
from create_llm.training.assemble import Assembled
from create_llm.training.job import Job
from create_llm.training.memory import peak_memory
from create_llm.training.planned import against_actual
from create_llm.training.remedies import remedies_of
from create_llm.training.speed import matrix_peak
from create_llm.training.stopping import Stop

_WORTH_MEASURING = 30.0
"""Seconds of training from which the machine's peak is measured, which takes a part of one."""


def summarize(job: Job, run: Assembled, stop: Stop, model: Path | None) -> dict[str, Any]:
    """summary.json, with the keys that scripts rely on."""
    run.trainer.count_wall_seconds()
    state, figures = run.trainer.state, run.trainer.reporter.figures
    device = torch.device(run.frozen.device)
    summary: dict[str, Any] = {
        "schema": SUMMARY_SCHEMA,
        "status": stop.status,
        "run": run.run.name,
        "model": str(model) if model else None,
        "steps": state.step,
        "epochs": state.step / run.trainer.epochs.steps,
        "tokens": state.tokens,
        "wall_seconds": round(state.wall_seconds, 3),
        "tokens_per_second": round(state.tokens / max(state.seconds, 1e-9), 1),
        "parameters": parameters_of(run),
        "train_loss": finite(figures.train_loss),
        "val_loss": finite(figures.val_loss),
        "val_perplexity": finite(figures.val_perplexity),
        "val_bits_per_byte": finite(figures.val_bits_per_byte),
        "precision": run.frozen.precision,
        "compiled": run.frozen.compiled,
        "precision_reason": run.frozen.precision_reason,
        "compile_reason": run.frozen.compile_reason,
        "peak_memory_bytes": peak_memory(device),
        **_utilisation(job, run),
        "optimizer": job.config.training.optimizer,
        "device": run.frozen.device,
        "seed": job.config.training.seed,
        "stopped_by": stop.by,
        **({"paused_for": asdict(stop.pause)} if stop.pause else {}),
        "remedies": [asdict(remedy) for remedy in remedies_of(run.run)],
        "model_sha256": ModelBundle.open(model).weights_sha256() if model else None,
    }
    folders = [job.data.folder, run.run.checkpoints, *([model] if model else [])]
    return {**summary, **against_actual(run.run.manifest().get("planned"), summary, folders)}


def _utilisation(job: Job, run: Assembled) -> dict[str, float | None]:
    """Model FLOPs utilisation (Chowdhery et al. 2022, 2204.02311): what the model's arithmetic
    takes, per second, over what this machine reached in a large product just now.
    """
    trainer = run.trainer
    state = trainer.state
    if state.seconds < _WORTH_MEASURING:
        return {"peak_flops": None, "flops_utilisation": None}
    length = job.sequence_length
    flops = job.architecture.flops(job.model_options, job.vocab_size, length)
    tokens = state.step * trainer.epochs.samples_per_step * length
    peak = matrix_peak(trainer.settings.step.device, run.frozen.precision)
    return {"peak_flops": peak, "flops_utilisation": tokens * flops / state.seconds / peak}


def parameters_of(run: Assembled) -> int:
    return sum(parameter.numel() for parameter in run.model.module.parameters())


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
