"""Which files of a bundle are published: those that a model needs elsewhere, and no others."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path

SENT = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "chat_template.jinja",
    "README.md",
    "LICENSE",
    "LICENSE.*",
    "NOTICE",
    "NOTICE.*",
)
"""Neither create_llm.json, which has the recipe with the paths of the machine, nor the manifest."""

_BY_HAND = ("LICENSE", "NOTICE")
"""What a person may put beside the files of the model; anything else there got there otherwise."""


def sent_files(bundle: Path, records: Collection[str]) -> list[Path]:
    """The files to send, by name; only those directly in the folder, and no links.

    Args:
        records: the names of the files that the bundle was written with.
    """
    return sorted(
        path
        for path in bundle.iterdir()
        if path.is_file() and not path.is_symlink() and _is_sent(path.name, records)
    )


def _is_sent(name: str, records: Collection[str]) -> bool:
    wanted = any(fnmatchcase(name, pattern) for pattern in SENT)
    return name in _BY_HAND or (wanted and name in records)
