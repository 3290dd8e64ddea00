"""A tokenizer in Hugging Face's tokenizer.json form, behind the contract of the core."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import tokenizers

from create_llm.data.tokenizer import SpecialTokens
from create_llm.errors import DataError

FILE = "tokenizer.json"
CONFIG = "tokenizer_config.json"

# What a UTF-8 encoder refuses: halves of surrogate pairs, which JSON files can smuggle in.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

# The end-of-text token of a tokenizer.json that comes without tokenizer_config.json.
_KNOWN_EOS = ("</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "[SEP]")
_FIXES = (
    "train another: llm tokenizer train",
    "or put the file back as it was saved or downloaded",
)


class FastTokenizer:
    """Encodes and decodes with the Rust library; subclasses say how a vocabulary comes about.

    Lone surrogates in a text become U+FFFD; all else comes back as it was.
    """

    def __init__(self, rust: tokenizers.Tokenizer, names: dict[str, str]) -> None:
        """`names` maps eos and, where there are such tokens, bos, pad and unk to their spelling."""
        # Not part of tokenizer.json: without it, "</s>" in a text would become the control token.
        rust.encode_special_tokens = True
        rust.no_padding()
        rust.no_truncation()
        self._rust = rust
        self._names = names
        ids = {kind: rust.token_to_id(name) for kind, name in names.items()}
        eos = ids["eos"]
        if eos is None:
            raise ValueError(f"'{names['eos']}' is not in the vocabulary")
        self._special = SpecialTokens(eos, ids.get("bos"), ids.get("pad"), ids.get("unk"))
        self._vocab_size = 1 + max(rust.get_vocab(with_added_tokens=True).values())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read tokenizer.json, and the names of the control tokens from tokenizer_config.json.

        Any tokenizer.json that the Rust library reads will do, not only those saved here.

        Raises:
            DataError: a file is missing or damaged, or no end-of-text token can be found.
        """
        path = folder / FILE
        try:
            rust = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError("there is no tokenizer here", where=str(path), fixes=_FIXES) from error
        except OSError:
            raise
        except Exception as error:  # the Rust library raises nothing more precise
            raise DataError(
                f"the tokenizer is damaged: {FILE} cannot be read: {error}",
                where=str(path),
                fixes=_FIXES,
            ) from error
        return cls(rust, _special_names(rust, folder))

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    @property
    def special(self) -> SpecialTokens:
        return self._special

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        clean = [without_surrogates(text) for text in texts]
        encodings = self._rust.encode_batch_fast(clean, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        return self._rust.decode(list(ids), skip_special_tokens=True)

    def token(self, token_id: int) -> str:
        token = self._rust.id_to_token(token_id)
        if token is None:
            raise IndexError(f"token {token_id} of {self._vocab_size}")
        return token

    def save(self, folder: Path) -> None:
        """Write tokenizer.json, and tokenizer_config.json for Hugging Face's transformers."""
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            **{f"{kind}_token": name for kind, name in sorted(self._names.items())},
        }
        text = json.dumps(config, indent=2, ensure_ascii=False)
        (folder / FILE).write_text(self._rust.to_str(pretty=True), encoding="utf-8", newline="\n")
        (folder / CONFIG).write_text(text + "\n", encoding="utf-8", newline="\n")


def without_surrogates(text: str) -> str:
    return _LONE_SURROGATE.sub("\ufffd", text)


def special_names(special_tokens: Sequence[str]) -> dict[str, str]:
    """The kinds of the first four configured control tokens."""
    return dict(zip(("pad", "unk", "bos", "eos"), special_tokens, strict=False))


def _special_names(rust: tokenizers.Tokenizer, folder: Path) -> dict[str, str]:
    config = _read_config(folder / CONFIG)
    names = {}
    for kind in ("eos", "bos", "pad", "unk"):
        value = config.get(f"{kind}_token")
        name = value.get("content") if isinstance(value, dict) else value
        if isinstance(name, str) and rust.token_to_id(name) is not None:
            names[kind] = name
    if "eos" not in names:
        known = [name for name in _KNOWN_EOS if rust.token_to_id(name) is not None]
        if not known:
            raise DataError(
                "the tokenizer does not say which token ends a text",
                where=str(folder / CONFIG),
                fixes=(f'write into {CONFIG}: {{"eos_token": "…"}}', _FIXES[0]),
            )
        names["eos"] = known[0]
    return names


def _read_config(path: Path) -> dict[str, object]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DataError(
            f"the tokenizer is damaged: {CONFIG} is not JSON: {error}",
            where=str(path),
            fixes=_FIXES,
        ) from error
    if not isinstance(config, dict):
        raise DataError(
            f"the tokenizer is damaged: {CONFIG} is not a JSON object",
            where=str(path),
            fixes=_FIXES,
        )
    return config
