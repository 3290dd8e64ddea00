"""The recipe of a run or version, to start another run with: `llm train --like v3`.

It is saved as a preset of the project, training/presets/like-v3.json: so it ranks where presets
do, can be looked at and shared, and the run that follows names in its settings what it is like.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from create_llm.config.presets import FOLDER
from create_llm.errors import DataError
from create_llm.project.folder import Project
from create_llm.storage.durable import Storage

LIKE, AGAIN = "like-", "again-"
"""What the names of these presets begin with: of a run like another, and of the same run again."""

_SECTIONS = ("model", "tokenizer", "objective", "data", "training", "generation")
_OF_THE_MACHINE = frozenset((("training", "device"), ("data", "workers")))
_MASKED = "**********"
"""What stands in a recipe for a secret, which a run must not be given as one."""


def recipe_of(name: str, config: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    """What makes a model of these settings again, as llm.toml nests it.

    What belongs to the project or the machine (plugins, logs, checkpoints, the device) stays with
    them. None leaves a key unset, whatever llm.toml says.

    Raises:
        DataError: nothing is known of the settings.
    """
    recipe = {section: config[section] for section in _SECTIONS if config.get(section)}
    if not recipe:
        raise DataError(
            f"{name} does not say what it was made with",
            fixes=("see what there is: llm runs list",),
        )
    return {
        section: {
            key: value
            for key, value in table.items()
            if (section, key) not in _OF_THE_MACHINE and value != _MASKED
        }
        for section, table in recipe.items()
    }


def exact(config: Mapping[str, Any], frozen: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with what was decided at the run's start in place of what asked for a decision.

    Args:
        frozen: of run.json.
    """
    decided: dict[str, object] = {}
    if frozen.get("precision"):
        decided["precision"] = frozen["precision"]
    if "compiled" in frozen:
        decided["compile"] = "on" if frozen["compiled"] else "off"
    if frozen.get("fitted_steps") is not None:
        decided |= {"max_steps": frozen["fitted_steps"], "max_seconds": None}
    return {**config, "training": {**config.get("training", {}), **decided}}


def save_recipe(project: Project, name: str, config: Mapping[str, Any], prefix: str = LIKE) -> str:
    """Write the recipe as a preset, unless it is there already; its path, as project.preset takes
    it."""
    about = {"title": f"Like {name}", "description": f"What {name} was made with."}
    text = json.dumps({**about, **recipe_of(name, config)}, indent=2, ensure_ascii=False) + "\n"
    path = FOLDER / f"{prefix}{name}.json"
    file = project.root / path
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        storage = Storage()
        storage.make_folder(file.parent)
        storage.replace_file(file, text.encode())
    return path.as_posix()


def parent_of(config: Mapping[str, Any]) -> str | None:
    """The version or run whose recipe these settings began from, if they did."""
    preset = config.get("project", {}).get("preset")
    stem = Path(preset).stem if isinstance(preset, str) else ""
    names = (stem.removeprefix(prefix) for prefix in (LIKE, AGAIN) if stem.startswith(prefix))
    return next(names, None)
