"""What lies where in a project folder."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from create_llm.errors import ConfigError

CONFIG_NAME = "llm.toml"
FORMER_CONFIG_NAMES = ("llm.config.js", "llm.config.json")
"""What `llm config convert` turns into llm.toml."""


@dataclass(frozen=True, slots=True)
class Project:
    """The paths of one project; nothing is created by asking for them."""

    root: Path

    @property
    def config_file(self) -> Path:
        return self.root / CONFIG_NAME

    @property
    def raw(self) -> Path:
        return self.root / "data" / "raw"

    @property
    def processed(self) -> Path:
        return self.root / "data" / "processed"

    @property
    def tokenizer(self) -> Path:
        return self.root / "tokenizer"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"


def find_project(start: Path) -> Project:
    """The project that `start` is in: the nearest folder upwards that holds llm.toml.

    Raises:
        ConfigError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return Project(folder)
    raise ConfigError(
        "this is not a create-llm project",
        where=f"{start} and its parents hold no {CONFIG_NAME}",
        fixes=(
            *_conversion(start),
            "make one: llm new my-llm",
            "or go to one: cd my-llm, or llm -C my-llm …",
        ),
    )


def project_around(start: Path) -> Project | None:
    """As `find_project`, for what can be done anywhere: None where there is none."""
    try:
        return find_project(start)
    except ConfigError:
        return None


def former_config(folder: Path) -> Path | None:
    """The file in `folder` that held the settings before there was llm.toml, if one does."""
    files = (folder / name for name in FORMER_CONFIG_NAMES)
    return next((file for file in files if file.is_file()), None)


def _conversion(start: Path) -> tuple[str, ...]:
    """Zero or one fix line: how to go on from the nearest former configuration."""
    found = next(filter(None, map(former_config, (start, *start.parents))), None)
    if found is None:
        return ()
    there = "" if found.parent == start else f"-C {shlex.quote(str(found.parent))} "
    return (
        f"found {found.name}; make {CONFIG_NAME} of it: llm {there}config convert {found.name}",
    )
