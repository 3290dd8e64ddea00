"""A new project folder: complete, or not there at all."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from create_llm.errors import ConfigError
from create_llm.project import pages
from create_llm.project.config_text import config_text
from create_llm.project.folder import CONFIG_NAME
from create_llm.project.recipe import Recipe, chosen_values, description
from create_llm.project.shims import SHIMS, shim
from create_llm.storage.new_folder import create_folder, is_free

EMPTY_FOLDERS = (
    "checkpoints",
    "data/processed",
    "data/raw",
    "evaluation/reports",
    "logs",
    "models",
    "tokenizer",
    "training/presets",
)
_HEADER = """\
All settings of this project. A key that is not here has its default.
What a key does, what it costs and what to try: llm config explain training.learning_rate"""
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


def free_folder(parent: Path, name: str) -> Path:
    """The folder that a project called `name` would get; nothing is created.

    Raises:
        ConfigError: the name cannot be a folder's, or something is already there.
    """
    plain = name.strip().removesuffix("/")
    problem = _problem_of_name(plain)
    if problem:
        raise ConfigError(
            f"'{name}' cannot be a project's name: {problem}",
            fixes=(
                "take letters, digits and dashes: llm new my-llm",
                "to make it in another folder: llm -C FOLDER new my-llm",
            ),
        )
    folder = parent / plain
    if not is_free(folder):
        raise ConfigError(
            f"there is already something at '{plain}', and it stays as it is",
            where=str(folder),
            fixes=(
                f"take another name: llm new {shlex.quote(plain + '-2')}",
                "or move what is there away",
                f"or go on with it: cd {shlex.quote(plain)}, then llm train",
            ),
        )
    return folder


def _problem_of_name(name: str) -> str | None:
    if not name:
        return "it is empty"
    if name.startswith(("-", ".")):
        return f"it starts with '{name[0]}'"
    found = _FORBIDDEN.search(name)
    if found:
        return f"{found.group()!r} is not possible in the name of a folder"
    return None


def create_project(folder: Path, recipe: Recipe) -> list[str]:
    """Write the project, all or nothing; its files, as sorted paths relative to it.

    Raises:
        OSError: the disk is full, or nobody may write there.
    """
    return create_folder(folder, project_files(folder.name, recipe))


def project_files(name: str, recipe: Recipe) -> dict[str, str]:
    """Path → text of everything in the project called `name`."""
    config, prompt = recipe.config, recipe.config.generation.prompt
    return {
        **(recipe.own.files if recipe.own else {}),
        **{f"{folder}/.gitkeep": "" for folder in EMPTY_FOLDERS},
        **pages.static_pages(),
        CONFIG_NAME: config_text(
            chosen_values(config), lambda path: description(config, path), _HEADER
        ),
        "README.md": pages.readme(name, recipe, prompt),
        "evaluation/prompts.txt": f"{prompt}\n",
        "requirements.txt": pages.requirements(recipe.distributions),
        **({path: shim(path) for path in SHIMS} if recipe.scripts else {}),
    }
