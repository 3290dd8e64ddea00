"""Faster encoders of the same ids, for the tokenizer.json files of which that can be shown.

Text is encoded by the Rust library that reads tokenizer.json. For byte-level BPE tiktoken takes a
third of its time, and for plain bytes a table of 256 numbers less still. Either is used only where
the ids are the same for reasons that are checked when it is made; `rapid` says no otherwise.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import tokenizers
from tokenizers import Regex, normalizers

from create_llm.data.spelling import byte_of_letter
from create_llm.data.threads import encoder_threads

# GPT-2's pattern as tiktoken writes it for its own `gpt2`: the same words, found without going
# back over runs of whitespace.
_WORDS = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
_CLASSES = (r"\p{L}", r"\p{N}", r"\s")
_SURROGATES = range(0xD800, 0xE000)

# Blanks in a row, from which on a text goes to the Rust library: tiktoken's matcher keeps a place
# to come back to for each of them, and gives up at a million.
_MOST_BLANKS = 1024


class Encoder(Protocol):
    """What makes ids of texts without lone surrogates."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]: ...


def rapid(rust: tokenizers.Tokenizer) -> Encoder | None:
    """A faster encoder with exactly the ids of `rust`, or None where there is none.

    A tokenizer.json qualifies when it divides text by GPT-2's pattern and nothing else, when its
    vocabulary is the 256 bytes, control tokens and the results of its merges, when the merges are
    in the order of their ids, each joining what earlier ones made, and when every token, as a
    text, is encoded as itself. The merges of a text then run through the same states whether one
    looks for the pairs of the list, as Hugging Face does, or for any two neighbours that are a
    token together, as tiktoken does: what stands between two boundaries that stay is encoded as
    if it stood alone, so the two neighbours are the pair that the list has.
    """
    found = _read(json.loads(rust.to_str()))
    if found is None:
        return None
    if not found.merged:
        return _Bytes(found.letters)
    if not _each_is_itself(rust, found):
        return None
    return _Tiktoken(rust, found)


@dataclass(frozen=True)
class _ByteBPE:
    """A byte-level BPE vocabulary.

    Attributes:
        letters: byte → id.
        merged: how tokenizer.json spells what the merges make → id, in the order of the merges.
    """

    letters: tuple[int, ...]
    merged: Mapping[str, int]


def _read(file: dict[str, object]) -> _ByteBPE | None:
    """The vocabulary of a tokenizer.json that qualifies, but for `_each_is_itself`."""
    model, added = file["model"], file["added_tokens"]
    if not isinstance(model, dict) or not isinstance(added, list) or not _is_plain(file, model):
        return None
    if not all(token["special"] for token in added):
        return None
    vocabulary: dict[str, int] = model["vocab"]
    letters = tuple(vocabulary.get(letter, -1) for letter, _ in _by_byte())
    merged = _merged(vocabulary, [tuple(pair) for pair in model["merges"]])
    if min(letters) < 0 or merged is None:
        return None
    known = {token["content"] for token in added} | set(merged) | set(byte_of_letter())
    return _ByteBPE(letters, merged) if known >= set(vocabulary) else None


def _by_byte() -> list[tuple[str, int]]:
    return sorted(byte_of_letter().items(), key=lambda item: item[1])


def _is_plain(file: Mapping[str, object], model: Mapping[str, object]) -> bool:
    divide = file["pre_tokenizer"]
    words = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    return (
        model["type"] == "BPE"
        and not any(model.get(key) for key in ("dropout", "byte_fallback"))
        and not any(model.get(key) for key in ("continuing_subword_prefix", "end_of_word_suffix"))
        and file["normalizer"] is None
        and isinstance(divide, dict)
        and words.items() <= divide.items()
    )


def _merged(
    vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]
) -> dict[str, int] | None:
    """What the merges make; None unless each is new, of earlier parts and of a higher id."""
    merged: dict[str, int] = {}
    last = -1
    for left, right in merges:
        parts_are_there = all(part in merged or part in byte_of_letter() for part in (left, right))
        joined = left + right
        number = vocabulary.get(joined, -1)
        if not parts_are_there or joined in merged or number <= last:
            return None
        merged[joined] = last = number
    return merged


def _each_is_itself(rust: tokenizers.Tokenizer, found: _ByteBPE) -> bool:
    model = rust.model
    return all(
        [token.id for token in model.tokenize(spelt)] == [number]
        for spelt, number in found.merged.items()
    )


class _Bytes:
    """Each byte is a token: without merges there is nothing to look for."""

    def __init__(self, letters: Sequence[int]) -> None:
        import numpy

        self._numpy = numpy
        self._ids = numpy.array(letters, dtype=numpy.int64)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        read = self._numpy.frombuffer
        return [self._ids[read(text.encode(), dtype="uint8")].tolist() for text in texts]


class _Tiktoken:
    """tiktoken for all texts but those of which it is not certain that it divides them alike."""

    def __init__(self, rust: tokenizers.Tokenizer, found: _ByteBPE) -> None:
        import tiktoken

        byte_of = byte_of_letter()
        spelt = {bytes([byte]): number for byte, number in enumerate(found.letters)}
        for token, number in found.merged.items():
            spelt[bytes(byte_of[letter] for letter in token)] = number
        self._rust = rust
        self._threads = encoder_threads()
        self._fast = tiktoken.Encoding(
            "create-llm", pat_str=_WORDS, mergeable_ranks=spelt, special_tokens={}
        )

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        sure = [_is_sure(text) for text in texts]
        if all(sure):
            return self._rapidly(texts)
        rapidly = iter(self._rapidly([text for text, yes in zip(texts, sure, strict=True) if yes]))
        rest = [text for text, yes in zip(texts, sure, strict=True) if not yes]
        slowly = iter(self._rust.encode_batch_fast(rest, add_special_tokens=False))
        return [next(rapidly) if yes else next(slowly).ids for yes in sure]

    def _rapidly(self, texts: Sequence[str]) -> list[list[int]]:
        if len(texts) == 1:  # a pool of threads would take longer than a short text does
            return [self._fast.encode_ordinary(texts[0])]
        return self._fast.encode_ordinary_batch(list(texts), num_threads=self._threads)


def _is_sure(text: str) -> bool:
    """Whether both libraries find the same words in a text, and tiktoken can find them."""
    if not text.isascii() and _disputed().search(text):
        return False
    # A run of twice as many holds one of these blocks whole.
    blocks = range(0, len(text) - _MOST_BLANKS + 1, _MOST_BLANKS)
    return not any(text[start : start + _MOST_BLANKS].isspace() for start in blocks)


@cache
def _disputed() -> re.Pattern[str]:
    """Finds the characters that one of the two libraries takes for a letter, a digit or a space
    and the other does not: those that Unicode has added between the versions they were made from.
    """
    everything = "".join(map(chr, (c for c in range(sys.maxunicode + 1) if c not in _SURROGATES)))
    found = [(_by_rust(kind, everything), _by_tiktoken(kind, everything)) for kind in _CLASSES]
    disputed = set[str]().union(*(set(one) ^ set(other) for one, other in found if one != other))
    ranges = [f"{re.escape(first)}-{re.escape(last)}" for first, last in _ranges(disputed)]
    return re.compile(f"[{''.join(ranges)}]" if ranges else "(?!)")


def _ranges(characters: Iterable[str]) -> Iterator[tuple[str, str]]:
    """First and last of each run of neighbours: a class of ranges is searched much faster."""
    codes = set(map(ord, characters))
    firsts = sorted(code for code in codes if code - 1 not in codes)
    lasts = sorted(code for code in codes if code + 1 not in codes)
    return ((chr(first), chr(last)) for first, last in zip(firsts, lasts, strict=True))


def _by_rust(kind: str, text: str) -> str:
    """The characters of a class, in the order of the text."""
    others = Regex(f"[^{kind}]+")
    return normalizers.Replace(others, "").normalize_str(text)


def _by_tiktoken(kind: str, text: str) -> str:
    import tiktoken

    letters = {bytes([byte]): byte for byte in range(256)}
    found = tiktoken.Encoding("c", pat_str=f"{kind}+", mergeable_ranks=letters, special_tokens={})
    return bytes(found.encode_ordinary(text)).decode()
