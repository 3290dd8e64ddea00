"""A run that ended without a word: how it is recognised, and what it may have died of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from create_llm.runs.report import Progress, read_progress
from create_llm.runs.run import RunFolder
from create_llm.training.machine import killed_for_memory, look_at_machine

_NEARLY_ALL = 0.85


def words_of_killed(run: RunFolder, saved: int | None) -> list[str]:
    """What a person should know of a run that was killed, and goes on from step `saved`."""
    progress = read_progress(run.events)
    goes_on = (
        "it left no checkpoint, so a new run begins"
        if saved is None
        else f"it goes on from step {saved}"
    )
    killed = (
        f"run {run.name} was killed at about step {progress.step} (no word of goodbye: a second "
        "Ctrl-C, power, kill -9 or the system's out-of-memory killer); " + goes_on
    )
    cause = _shortage(run.manifest(), progress)
    return [killed] if cause is None else [killed, f"{cause}; {_advice(run.manifest())}"]


def _shortage(manifest: Mapping[str, Any], progress: Progress) -> str | None:
    """What speaks for a lack of memory, if anything does."""
    if killed_for_memory(manifest.get("machine", {}), look_at_machine()):
        return "the system ran out of memory and killed something since that run began"
    available = manifest.get("hardware", {}).get("available_ram_bytes")
    on_gpu = manifest.get("frozen", {}).get("device") == "cuda"
    used = progress.memory_bytes
    if on_gpu or not available or not used or used <= _NEARLY_ALL * available:
        return None
    return (
        f"it used {used / 1e9:.1f} GB, and {available / 1e9:.1f} GB of memory were free when it "
        "began"
    )


def _advice(manifest: Mapping[str, Any]) -> str:
    """How to go on with less memory, with the run's own numbers."""
    training = manifest.get("config", {}).get("training", {})
    batch, micros = training.get("batch_size", 1), training.get("gradient_accumulation_steps", 1)
    checkpointing = "--set training.gradient_checkpointing=true"
    if batch % 2:
        return f"to need less: llm train {checkpointing}"
    return (
        f"to need less and learn the same: llm train --set training.batch_size={batch // 2} "
        f"--set training.gradient_accumulation_steps={micros * 2} (now {batch} and {micros}), or "
        f"llm train {checkpointing}"
    )
