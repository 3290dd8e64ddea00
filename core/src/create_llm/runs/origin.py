"""The model that a run began with, as its run.json and the model that it made say it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from create_llm.errors import DataError
from create_llm.models.bundle import ModelBundle
from create_llm.models.versions import versions
from create_llm.runs.run import RunFolder

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Origin:
    """`init` of run.json and create_llm.json.

    Attributes:
        model: the version, or the folder.
        weights_sha256: over its weight files, in name order.
    """

    model: str
    weights_sha256: str

    def __str__(self) -> str:
        return f"{self.model} ({self.weights_sha256[:_SHOWN]})"


def origin_of(stored: object) -> Origin | None:
    """What stands under `init`; None for random weights, and where it is not as it was written."""
    if not isinstance(stored, dict):
        return None
    model, sha256 = stored.get("model"), stored.get("weights_sha256")
    if not isinstance(model, str) or not isinstance(sha256, str):
        return None
    return Origin(model, sha256)


def versions_named(models: Path, runs: Sequence[RunFolder]) -> frozenset[str]:
    """The versions that a run made or began with, or that a version began with, there or not:
    given to another model, such a number would say what is not so."""
    made = (run.summary().get("model") for run in runs)
    began = (origin_of(stored) for stored in (*_of_runs(runs), *_of_versions(models)))
    return frozenset(
        (
            *(Path(model).name for model in made if isinstance(model, str)),
            *(origin.model for origin in began if origin is not None),
        )
    )


def _of_runs(runs: Sequence[RunFolder]) -> Iterator[object]:
    return (run.manifest().get("init") for run in runs)


def _of_versions(models: Path) -> Iterator[object]:
    for version in versions(models):
        with contextlib.suppress(DataError):  # a damaged one has its number by its folder
            yield ModelBundle.open(models / version).info.get("init")
