"""Writing an export: all of it or nothing, and never over what is not ours."""

from __future__ import annotations

from pathlib import Path

from create_llm.errors import ConfigError, DataError
from create_llm.models.bundle import INFO, ModelBundle
from create_llm.models.export import FOLDER, Exporter
from create_llm.storage.durable import Storage, read_manifest, verify
from create_llm.storage.manifest import MANIFEST


def export(exporter: Exporter, bundle: ModelBundle, folder: Path) -> tuple[str, ...]:
    """Write a model into a folder; one with an earlier export is replaced at the end.

    Returns:
        What to do with it next, a line each, with the path as it is seen from the current folder.

    Raises:
        DataError: the model is damaged.
        ConfigError: the folder holds something else or is part of a model, or the form cannot
            carry the model.
    """
    refuse_inside_a_model(folder)
    verify(bundle.path)
    exporter.check(bundle)
    if folder.exists() and not _is_export(folder):
        raise ConfigError(
            "there is something else in that folder",
            where=str(folder),
            fixes=("choose another: --out FOLDER", "or move it away"),
        )
    with Storage().commit(folder) as writer:
        advice = exporter.export(bundle, writer)
    return tuple(line.replace(FOLDER, _from_here(folder)) for line in advice)


def _from_here(folder: Path) -> str:
    path, here = folder.absolute(), Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def refuse_inside_a_model(folder: Path) -> None:
    """What is copied, moved or removed with a model is the model and nothing else.

    Raises:
        ConfigError: the folder is below one.
    """
    inside = next((p for p in folder.resolve().parents if (p / INFO).is_file()), None)
    if inside is not None:
        raise ConfigError(
            "that folder would be inside a model",
            where=str(folder),
            fixes=(f"choose another, outside of {inside}",),
        )


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
