"""The models that Simon Willison's llm knows of ours: create-llm.json in its own folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.errors import DataError, PluginError
from create_llm.models.versions import versions
from create_llm.project.folder import Project
from create_llm.storage.durable import Storage

FILE = "create-llm.json"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    models: dict[str, str] = {}


def file() -> Path:
    """Where the names are kept: beside the aliases and keys of the other program.

    Raises:
        PluginError: it is not installed here.
    """
    if find_spec("llm") is None:
        raise PluginError(
            "Simon Willison's llm is not installed in this environment",
            where="the Python package llm",
            fixes=(
                f"{sys.executable} -m pip install llm",
                "then ask it for models: python -m llm models",
            ),
        )
    import llm  # type: ignore[import-not-found, unused-ignore]

    return Path(llm.user_dir()) / FILE


def read(path: Path) -> dict[str, Path]:
    """Name → folder of a bundle or a project; empty where there is no file.

    Raises:
        DataError: the file does not hold that.
    """
    if not path.is_file():
        return {}
    try:
        found = _File.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        raise DataError(
            f"the list of models is damaged: {problem['msg']}",
            where=f"{path}: {'.'.join(map(str, problem['loc'])) or 'the whole file'}",
            fixes=(f"mend it, or move it away and add the models again: mv {path} {path}.old",),
        ) from error
    return {name: Path(folder) for name, folder in found.models.items()}


def write(path: Path, models: Mapping[str, Path]) -> None:
    kept = _File(models={name: str(folder) for name, folder in sorted(models.items())})
    Storage().replace_file(path, f"{kept.model_dump_json(indent=2)}\n".encode())


def with_versions(models: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    """What is registered, and after each project its versions: my-llm, my-llm/v1, my-llm/v2."""
    for name, folder in models.items():
        yield name, folder
        if is_project(folder):
            known = Project(folder).models
            for version in versions(known):
                if f"{name}/{version}" not in models:
                    yield f"{name}/{version}", known / version


def is_project(folder: Path) -> bool:
    return Project(folder).config_file.is_file()
