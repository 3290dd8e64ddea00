"""What prepared tokens depend on, and the key that stands for all of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import BaseModel, ConfigDict

from create_llm.data.chat.template import ChatTemplate
from create_llm.data.duplicates import FIRST_RULE
from create_llm.data.source import DataSource, identity_of
from create_llm.data.split import SPLIT_RULE
from create_llm.data.tokenizer import Tokenizer


class Ingredients(BaseModel):
    """Everything that the prepared tokens depend on; hashes are SHA-256 (hex).

    Attributes:
        split_rule: how documents are chosen, divided and written out.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    source: str
    val_source: str | None
    tokenizer: str
    val_split: float
    split_rule: str


def data_key(
    source: DataSource,
    tokenizer: Tokenizer,
    val_split: float,
    val_source: DataSource | None = None,
    deduplicate: bool = False,
    template: ChatTemplate | None = None,
) -> str:
    """SHA-256 (hex) over everything that the prepared tokens depend on."""
    return key_of(ingredients_of(source, tokenizer, val_split, val_source, deduplicate, template))


def division_key(source: str, val_source: str | None, val_split: float) -> str:
    """SHA-256 (hex) over what decides which documents are for validation.

    Args:
        source, val_source: as `identity_of` names them.
    """
    values = [source, val_source, val_split, SPLIT_RULE]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def tokenizer_files(tokenizer: Tokenizer) -> dict[str, bytes]:
    """The files that the tokenizer saves, in name order."""
    with TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def tokenizer_sha256(tokenizer: Tokenizer) -> str:
    """SHA-256 (hex) over the names and contents of the files that the tokenizer saves."""
    digest = hashlib.sha256()
    for name, data in tokenizer_files(tokenizer).items():
        digest.update(name.encode() + b"\0")
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()


def ingredients_of(
    source: DataSource,
    tokenizer: Tokenizer,
    val_split: float,
    val_source: DataSource | None,
    deduplicate: bool,
    template: ChatTemplate | None,
) -> Ingredients:
    rules = [SPLIT_RULE]
    if deduplicate:
        rules.append(FIRST_RULE)
    if template is not None:
        digest = hashlib.sha256(template.source.encode()).hexdigest()
        rules.append(f"conversations by the template {digest}")
    return Ingredients(
        source=identity_of(source),
        val_source=identity_of(val_source) if val_source else None,
        tokenizer=tokenizer_sha256(tokenizer),
        val_split=val_split,
        split_rule="; ".join(rules),
    )


def key_of(ingredients: Ingredients) -> str:
    names = list(Ingredients.model_fields)
    values = ingredients.model_dump(include=set(names))
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
