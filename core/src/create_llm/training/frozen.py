"""What a run is and was decided to be: run.json, written at its start and kept at every resume."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from create_llm import __version__
from create_llm.config.hardware import resolve_device, resolve_precision
from create_llm.data.preparation.ingredients import tokenizer_files
from create_llm.errors import DataError
from create_llm.runs.again import without_secrets
from create_llm.runs.run import RunFolder
from create_llm.training.code import code_of
from create_llm.training.job import Job, Surroundings
from create_llm.training.picked import Picked


@dataclass(frozen=True, slots=True)
class Frozen:
    """Decided at a run's start and kept at every resume: other values give other bits.

    Attributes:
        fitted_steps: how many steps fit into `training.max_seconds`, where that is set.
    """

    device: str
    precision: str
    precision_reason: str
    threads: int
    compiled: bool = False
    compile_reason: str = ""
    fitted_steps: int | None = None


def write_manifest(job: Job, picked: Picked, around: Surroundings) -> tuple[Frozen, int]:
    """run.json: what this run is. At a resume only the number of sessions changes."""
    before = picked.run.manifest()
    frozen = _read(picked.run, before["frozen"]) if before else decide(job)
    number = int(before.get("sessions", 0)) + 1
    fresh = {
        "run": picked.run.name,
        "config": job.config.as_dict(),
        "sources": {key: str(item.source) for key, item in job.config.settings.items()},
        "identity": job.identity(),
        "frozen": asdict(frozen),
        "hardware": asdict(job.hardware),
        "versions": versions(job),
        "code": code_of(job),
        "data": str(job.data.folder),
    }
    if job.initial is not None:
        fresh["init"] = job.initial.as_dict()
    manifest = {
        **(before or fresh),
        "sessions": number,
        "command": without_secrets(around.command),
    }
    picked.run.write_manifest(manifest)
    if job.initial is not None and not before:
        job.initial.keep_tokenizer(picked.run, tokenizer_files(job.tokenizer))
    picked.run.forget_summary()
    return frozen, number


def _read(run: RunFolder, stored: dict[str, Any]) -> Frozen:
    """
    Raises:
        DataError: not as it was written.
    """
    try:
        return TypeAdapter(Frozen).validate_json(json.dumps(stored), strict=True)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise DataError(
            f"run {run.name} cannot go on: what was decided at its start cannot be read ({where})",
            where=f"{run.path / 'run.json'}, frozen",
            fixes=("start a new run: llm train --resume never",),
        ) from error


def decide(job: Job) -> Frozen:
    precision, reason = resolve_precision(job.config, job.hardware)
    device = resolve_device(job.config, job.hardware)
    return Frozen(device, precision, reason, torch.get_num_threads())


def versions(job: Job) -> dict[str, str]:
    """Of everything that the result depends on."""
    plugins = {
        record.plugin.distribution: record.plugin.version
        for record in job.plugins.records
        if record.status == "loaded"
    }
    return {
        "create_llm": __version__,
        "python": platform.python_version(),
        "torch": version("torch"),
        **plugins,
    }
