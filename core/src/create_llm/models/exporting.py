"""Writing an export: all of it or nothing, and never over what is not ours."""

from __future__ import annotations

from pathlib import Path

from create_llm.errors import ConfigError, DataError
from create_llm.models.bundle import INFO, ModelBundle
from create_llm.models.export import Exporter
from create_llm.storage.durable import Storage, read_manifest, verify
from create_llm.storage.manifest import MANIFEST


def export(exporter: Exporter, bundle: ModelBundle, folder: Path) -> tuple[str, ...]:
    """Write a model into a folder; one with an earlier export is replaced at the end.

    Returns:
        What to do with it next, a line each.

    Raises:
        DataError: the model is damaged.
        ConfigError: the folder holds something else, or the form cannot carry the model.
    """
    verify(bundle.path)
    exporter.check(bundle)
    if folder.exists() and not _is_export(folder):
        raise ConfigError(
            "there is something else in that folder",
            where=str(folder),
            fixes=("choose another: --out FOLDER", "or move it away"),
        )
    with Storage().commit(folder) as writer:
        return exporter.export(bundle, writer)


def _is_export(folder: Path) -> bool:
    """Whether everything in there was written by an export, or there is nothing."""
    if not folder.is_dir():
        return False
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    if not found:
        return True
    try:
        return found - {MANIFEST} == set(read_manifest(folder)) and INFO not in found
    except DataError:
        return False
