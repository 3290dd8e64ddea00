"""Which control token of a vocabulary is of which kind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from create_llm.data.control_tokens import MASKS
from create_llm.errors import DataError

CONFIG = "tokenizer_config.json"
FIXES = (
    "train another: llm tokenizer train",
    "or put the file back as it was saved or downloaded",
)

# By kind: the keys that tokenizer_config.json names it by, BERT's after the usual one, and the
# spellings to look for where the file is missing or does not speak of that kind.
_KINDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "eos": (
        ("eos_token", "sep_token"),
        ("</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "[SEP]"),
    ),
    "bos": (("bos_token", "cls_token"), ("<s>", "<|begin_of_text|>", "<bos>", "[CLS]")),
    "pad": (("pad_token",), ("<pad>", "[PAD]")),
    "unk": (("unk_token",), ("<unk>", "[UNK]")),
    "mask": (("mask_token",), MASKS),
}


def kinds_in_files(
    folder: Path, vocabulary: Mapping[str, int], control: Sequence[str]
) -> dict[str, str]:
    """Kind → spelling, from tokenizer_config.json or else by what is customary.

    Args:
        vocabulary: spelling → id of all tokens.
        control: those of them that the file flags as control tokens.

    Raises:
        DataError: the file is damaged, or no end-of-text token can be found.
    """
    config = _read_config(folder / CONFIG)
    kinds = {}
    for kind, (keys, known) in _KINDS.items():
        said = [name for key in keys if (name := _spelling(config.get(key))) in vocabulary]
        silent = not any(key in config for key in keys)
        guessed = [name for name in known if name in control] if silent else []
        if found := [*said, *guessed]:
            kinds[kind] = found[0]
    if "eos" not in kinds:
        kinds["eos"] = _known_end(folder, vocabulary)
    return kinds


def _spelling(value: object) -> str:
    """A token of tokenizer_config.json, written as text or as a table; "" where it is neither."""
    name = value.get("content") if isinstance(value, dict) else value
    return name if isinstance(name, str) else ""


def _known_end(folder: Path, vocabulary: Mapping[str, int]) -> str:
    for name in _KINDS["eos"][1]:
        if name in vocabulary:
            return name
    raise DataError(
        "the tokenizer does not say which token ends a text",
        where=str(folder / CONFIG),
        fixes=(f'write into {CONFIG}: {{"eos_token": "…"}}', FIXES[0]),
    )


def _read_config(path: Path) -> dict[str, object]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DataError(
            f"the tokenizer is damaged: {CONFIG} is not JSON: {error}",
            where=str(path),
            fixes=FIXES,
        ) from error
    if not isinstance(config, dict):
        raise DataError(
            f"the tokenizer is damaged: {CONFIG} is not a JSON object",
            where=str(path),
            fixes=FIXES,
        )
    return config
