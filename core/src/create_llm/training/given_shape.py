"""What a bundle says of its shape and its tokenizer, for a run that takes both over.

Anybody may have written or changed it: what is not of the kind it should be is refused in words.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.errors import DataError
from create_llm.kernel.registry import Part, Registry
from create_llm.models.bundle import INFO, ModelBundle

CONFIG = "config.json"

Sections = dict[str, dict[str, Any]]
"""[model] and [tokenizer], as llm.toml would nest them."""


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    name: str


class _Recipe(BaseModel):
    model: _Section
    tokenizer: _Section


class _Info(BaseModel):
    """What is needed of create_llm.json."""

    model_config = ConfigDict(strict=True)

    architecture: str
    tokenizer: str
    packages: dict[str, str] = {}
    recipe: _Recipe


def sections_of(bundle: ModelBundle, registry: Registry) -> Sections:
    """
    Raises:
        DataError: it does not say so, or its tokenizer is damaged.
        PluginError: a part that it needs is not installed.
    """
    info = _info(bundle)
    bundle.part("architectures", info.architecture, registry)
    tokenizer = bundle.part("tokenizers", info.tokenizer, registry)
    sections = info.recipe.model_dump()
    if "vocab_size" not in sections["model"]:  # another program made it
        for section, size in _vocabulary(bundle, tokenizer).items():
            sections[section]["vocab_size"] = size
    return sections


def hf_config(bundle: ModelBundle) -> dict[str, Any]:
    """config.json.

    Raises:
        DataError: it cannot be read.
    """
    try:
        config: object = bundle.hf_config()
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(bundle, CONFIG, str(error)) from error
    if not isinstance(config, dict):
        raise damaged(bundle, CONFIG, "it is no table")
    return config


def damaged(bundle: ModelBundle, file: str, reason: str) -> DataError:
    """`reason`: what is wrong with the file."""
    return DataError(
        f"no run can begin with {bundle.name}: its {file} is damaged: {reason}",
        where=str(bundle.path / file),
        fixes=(
            f"put {bundle.name} back from a copy",
            "or begin with another model, or with random weights: leave --init out",
        ),
    )


def _info(bundle: ModelBundle) -> _Info:
    try:
        return _Info.model_validate(bundle.info)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise damaged(bundle, INFO, f"'{key}': {first['msg'].lower()}") from error


def _vocabulary(bundle: ModelBundle, tokenizer: Part) -> dict[str, int | None]:
    """Section → vocab_size: the model's where it has rows to spare, the tokenizer's where that
    is an option of it."""
    rows = hf_config(bundle).get("vocab_size")
    if type(rows) is not int or rows < 1:
        raise damaged(bundle, CONFIG, "'vocab_size' is no number of tokens")
    tokens: int = tokenizer.load().load(bundle.path).vocab_size
    sizes: dict[str, int | None] = {"model": rows if rows > tokens else None}
    options = tokenizer.config_model()
    if options is not None and "vocab_size" in options.model_fields:
        try:
            options(vocab_size=tokens)
        except ValidationError:  # fewer than training one would make
            return sizes
        sizes["tokenizer"] = tokens
    return sizes
