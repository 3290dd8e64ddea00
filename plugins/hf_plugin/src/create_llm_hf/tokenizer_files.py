"""The tokenizer of a model in Hugging Face's form, as the files that ours load."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from create_llm.errors import DataError
from create_llm.models.quiet import quiet_transformers
from create_llm_hf.checkpoint import read_json

FILE, CONFIG = "tokenizer.json", "tokenizer_config.json"
_MAP = "special_tokens_map.json"
_KINDS = ("eos", "bos", "pad", "unk", "mask")
_PARTS = {"BPE": "bpe", "WordPiece": "wordpiece", "Unigram": "unigram"}
"""How tokenizer.json calls its model → the tokenizer of ours. Each reads any tokenizer.json."""
_SOURCES = (("vocab.json", "merges.txt"), ("vocab.txt",), ("tekken.json",))
"""What else transformers reads, beside a *.model; of nothing it makes a tokenizer that knows no
text."""


def tokenizer_part(folder: Path) -> str:
    """The name of the tokenizer that loads it."""
    path = folder / FILE
    model = read_json(path).get("model") if path.is_file() else None
    kind = model.get("type") if isinstance(model, dict) else None
    return _PARTS.get(str(kind), "bpe")


def tokenizer_files(folder: Path, config: Mapping[str, Any]) -> dict[str, bytes]:
    """tokenizer.json, and a tokenizer_config.json that says which token ends a text.

    Raises:
        DataError: there is no tokenizer.
    """
    if not (folder / FILE).is_file():
        return _converted(folder, config)
    said = _completed(folder, config)
    return {
        FILE: (folder / FILE).read_bytes(),
        CONFIG: (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode(),
    }


def _completed(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """What tokenizer_config.json leaves out stands in two other files, or in none."""
    said, also = ({**_read(folder / name)} for name in (CONFIG, _MAP))
    spelt = _spellings(folder)
    for kind in _KINDS:
        key = f"{kind}_token"
        if said.get(key) is None and also.get(key) is not None:
            said[key] = also[key]
        if said.get(key) is None and (name := spelt.get(_first(config.get(f"{key}_id")))):
            said[key] = name
    return said


def _spellings(folder: Path) -> dict[int, str]:
    added = read_json(folder / FILE).get("added_tokens")
    return {
        entry["id"]: str(entry.get("content"))
        for entry in (added if isinstance(added, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("id"), int)
    }


def _first(ids: object) -> int:
    """config.json gives one id or several; -1, which no token has, where it is neither."""
    first = ids[0] if isinstance(ids, list) and ids else ids
    return first if isinstance(first, int) else -1


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _refuse_none(folder: Path) -> None:
    sources = any(all((folder / name).is_file() for name in names) for names in _SOURCES)
    if not sources and not any(folder.glob("*.model")):
        raise DataError(
            "there is no tokenizer with the model: neither tokenizer.json, nor vocab.json with "
            "merges.txt, nor tokenizer.model",
            where=str(folder),
            fixes=(
                "put the files of the tokenizer that the model was trained with beside config.json",
                "or fetch the model again, with all of its files",
            ),
        )


def _converted(folder: Path, config: Mapping[str, Any]) -> dict[str, bytes]:
    """Of vocab.json and merges.txt, or tokenizer.model: transformers makes a tokenizer.json."""
    _refuse_none(folder)
    from transformers import AutoTokenizer

    quiet_transformers()
    try:
        theirs = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # each kind of tokenizer fails in its own way
        raise DataError(
            f"there is no tokenizer that can be read: {str(error).splitlines()[0][:200]}",
            where=str(folder),
            fixes=("look for a revision with a tokenizer.json", "or fetch the model again"),
        ) from error
    with tempfile.TemporaryDirectory(prefix="create-llm-") as made:
        theirs.save_pretrained(made)
        if not (Path(made) / FILE).is_file():
            raise DataError(
                "its tokenizer has no tokenizer.json, and none can be made",
                where=str(folder),
                fixes=("look for a revision with a tokenizer.json",),
            )
        return tokenizer_files(Path(made), config)
