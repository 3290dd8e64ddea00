"""Whether the code behind a run is still what it was when the run began.

Versions do not tell: a package that is installed in place changes under one version.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from create_llm.kernel.registry import Part
from create_llm.training.job import Job


def code_of(job: Job) -> dict[str, str]:
    """distribution → SHA-256 (hex) of its sources, of the architecture and the objective."""
    parts = (job.config.model.part, job.chosen_objective.part)
    return {part.distribution: _sources_sha256(part) for part in parts}


def changed_code(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """The distributions whose sources differ; those of which nothing is known do not."""
    return sorted(name for name in now if before.get(name, now[name]) != now[name])


def _sources_sha256(part: Part) -> str:
    spec = find_spec(part.target.partition(":")[0].partition(".")[0])
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    files = sorted(file for place in places for file in place.rglob("*.py"))
    if not files and spec and spec.origin:
        files = [Path(spec.origin)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
