"""Versions of a project's model: models/v1, v2 …, and which of them is active."""

from __future__ import annotations

import re
from pathlib import Path

from create_llm.errors import ConfigError, did_you_mean
from create_llm.models.bundle import INFO, ModelBundle
from create_llm.storage.durable import Storage

ACTIVE = "active"
_VERSION = re.compile(r"v(\d+)")


def versions(models: Path) -> list[str]:
    """The committed versions, oldest first."""
    if not models.is_dir():
        return []
    found = [match for path in models.iterdir() if (match := _VERSION.fullmatch(path.name))]
    present = [match for match in found if (models / match[0] / INFO).is_file()]
    return [match[0] for match in sorted(present, key=lambda match: int(match[1]))]


def next_version(models: Path) -> str:
    """One above every folder of that form, also those that hold no model (any more)."""
    names = [path.name for path in models.iterdir()] if models.is_dir() else []
    taken = [int(match[1]) for name in names if (match := _VERSION.fullmatch(name))]
    return f"v{max(taken, default=0) + 1}"


def active_version(models: Path) -> str | None:
    """The version that commands use by default."""
    path = models / ACTIVE
    name = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    existing = versions(models)
    if name in existing:
        return name
    return existing[-1] if existing else None


def set_active(models: Path, version: str) -> None:
    Storage().replace_file(models / ACTIVE, f"{version}\n".encode())


def find_bundle(reference: str | None, models: Path | None) -> ModelBundle:
    """The bundle that MODEL names: a folder, vN, a run id, or by default the active version.

    Raises:
        ConfigError: nothing of that name, or no model yet.
        DataError: the folder is no bundle.
    """
    if reference is not None and (models is None or not (models / reference).is_dir()):
        path = Path(reference)
        if path.is_dir():
            return ModelBundle.open(path)
        return _by_run(reference, models)
    version = reference or (active_version(models) if models else None)
    if models is None or version is None:
        raise ConfigError(
            "there is no trained model here yet",
            where=str(models) if models else None,
            fixes=("train one: llm train", "or name a bundle folder in place of a version"),
        )
    return ModelBundle.open(models / version)


def bundle_of_run(models: Path, run: str) -> ModelBundle | None:
    """The version that a run made, if it made one."""
    bundles = (ModelBundle.open(models / version) for version in versions(models))
    return next((bundle for bundle in bundles if bundle.info.get("run") == run), None)


def _by_run(reference: str, models: Path | None) -> ModelBundle:
    found = bundle_of_run(models, reference) if models else None
    if found is not None:
        return found
    known = versions(models) if models else []
    raise ConfigError(
        f"there is no model called '{reference}'",
        where=str(models) if models else None,
        fixes=(
            *did_you_mean(reference, known),
            f"there are: {', '.join(known)}" if known else "train one: llm train",
        ),
    )
