"""What lies where in a project folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from create_llm.errors import ConfigError

CONFIG_NAME = "llm.toml"


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
        fixes=("make one: llm new my-llm", "or go to one: cd my-llm, or llm -C my-llm …"),
    )
