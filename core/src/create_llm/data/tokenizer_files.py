"""The tokenizer of a project on the disk, and what it was made from.

A tokenizer.json that somebody put there themselves is known by the recipe.json that it lacks.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.data.chat.template import FILE as CHAT_TEMPLATE_FILE
from create_llm.data.preparation.ingredients import tokenizer_files
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import DataError
from create_llm.kernel.registry import Part
from create_llm.project.folder import Project
from create_llm.storage.durable import Storage

TOKENIZER_FILE = "tokenizer.json"
RECIPE_FILE = "recipe.json"
_LARGEST_VOCABULARY = 2**24
"""Sixty times the largest in use."""


class Recipe(BaseModel):
    """tokenizer/recipe.json: what the tokenizer was made from.

    Attributes:
        val_split: None where validation has a source of its own and nothing is split.
        sample_bytes: about how much of the text was learnt from; None: all of it.
        files: SHA-256 (hex) of each file that was saved; empty until all of them are.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    tokenizer: str
    options: dict[str, object]
    control_tokens: tuple[str, ...] = ()
    chat_template: str | None = None
    source: str
    val_split: float | None
    deduplicate: bool = False
    sample_bytes: int | None = None
    files: dict[str, str] = {}

    def is_complete(self, folder: Path) -> bool:
        """Whether all that it names is in `folder`."""
        return bool(self.files) and all((folder / name).is_file() for name in self.files)

    def is_of(self, wanted: Recipe, folder: Path) -> bool:
        """Whether what is in `folder` was made from what is wanted now."""
        return self.is_complete(folder) and self.model_copy(update={"files": {}}) == wanted

    def changes(self, wanted: Recipe) -> list[str]:
        """How what is wanted now differs from what this one made, in words."""
        names = _names(self.tokenizer, wanted.tokenizer)
        pairs: list[tuple[str, object, object]] = [("tokenizer.name", *names)]
        shared = [key for key in self.options if key in wanted.options]
        pairs += [(f"tokenizer.{k}", self.options[k], wanted.options[k]) for k in shared]
        pairs += [
            ("data.val_split", self.val_split, wanted.val_split),
            ("data.deduplicate", self.deduplicate, wanted.deduplicate),
        ]
        words = [f"{key} was {was}, is {now}" for key, was, now in pairs if was != now]
        others = (
            ("other control tokens are needed", self.control_tokens, wanted.control_tokens),
            ("the chat template is another", self.chat_template, wanted.chat_template),
            ("the text has changed", self.source, wanted.source),
        )
        words += [what for what, was, now in others if was != now]
        return words or ["it was made otherwise"]

    def check_files(self, folder: Path) -> None:
        """
        Raises:
            DataError: a file is not what was saved.
        """
        for name, sha256 in self.files.items():
            path = folder / name
            if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                raise DataError(
                    f"the tokenizer is damaged: {name} is not what was trained",
                    where=str(path),
                    fixes=(
                        "train it again: llm tokenizer train",
                        f"if you put a file of your own there, remove {folder / RECIPE_FILE}",
                    ),
                )


def load_tokenizer(part: Part, folder: Path) -> Tokenizer:
    """Read a tokenizer that was saved into `folder`.

    Raises:
        DataError: there is none, or it is damaged.
    """
    if not any((folder / name).exists() for name in (TOKENIZER_FILE, RECIPE_FILE)):
        raise DataError(
            "there is no tokenizer here yet",
            where=str(folder),
            fixes=("train one: llm tokenizer train",),
        )
    tokenizer: Tokenizer = part.load().load(folder)
    if tokenizer.vocab_size > _LARGEST_VOCABULARY:
        raise DataError(
            f"the tokenizer is damaged: its largest id is {tokenizer.vocab_size - 1:,}, and a "
            "model has a row of weights for each up to it; the most that are read are "
            f"{_LARGEST_VOCABULARY:,}",
            where=str(folder / TOKENIZER_FILE),
            fixes=(
                "put the file back as it was saved or downloaded",
                "or move it away and train another: llm tokenizer train",
            ),
        )
    return tokenizer


def _names(was: str, now: str) -> tuple[str, str]:
    """Of two parts given as distribution/name, the names alone where those differ."""
    short = was.rpartition("/")[2], now.rpartition("/")[2]
    return short if short[0] != short[1] else (was, now)


def has_own_tokenizer(project: Project) -> bool:
    """Whether the tokenizer was put there by hand."""
    file, recipe = project.tokenizer / TOKENIZER_FILE, project.tokenizer / RECIPE_FILE
    return file.exists() and not recipe.exists()


def save_tokenizer(tokenizer: Tokenizer, folder: Path, recipe: Recipe) -> None:
    """Put the files in place, each at once; the recipe is complete when all of them are."""
    folder.mkdir(parents=True, exist_ok=True)
    before = read_recipe(folder)
    files = tokenizer_files(tokenizer)
    if recipe.chat_template is not None:
        files[CHAT_TEMPLATE_FILE] = recipe.chat_template.encode()
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    storage = Storage()
    _write_recipe(storage, folder, recipe)
    for name in before.files if before else ():
        if name not in files:
            (folder / name).unlink(missing_ok=True)
    for name, data in files.items():
        storage.replace_file(folder / name, data)
    _write_recipe(storage, folder, recipe.model_copy(update={"files": hashes}))


def read_recipe(folder: Path) -> Recipe | None:
    """The recipe, or None where there is none that can be read: then training is due."""
    try:
        return Recipe.model_validate_json((folder / RECIPE_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write_recipe(storage: Storage, folder: Path, recipe: Recipe) -> None:
    storage.replace_file(folder / RECIPE_FILE, recipe.model_dump_json(indent=2).encode())
