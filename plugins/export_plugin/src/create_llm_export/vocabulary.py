"""A tokenizer as GGUF holds it, and what of it llama.cpp would do otherwise.

GGUF holds tokens and merges or scores; how text is divided before, llama.cpp knows by a name
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, llama.cpp's llama-vocab.cpp). What is
not in that form exactly is told in `reasons`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from create_llm.data.spelling import byte_of_letter
from create_llm.errors import ConfigError
from create_llm_export.splitting import SPACE, Splitting, splitting_of

FILE = "tokenizer.json"
_BYTES = {f"<0x{byte:02X}>" for byte in range(256)}
_NO_MERGE = "! !"
"""Stands where a vocabulary has no merges, which llama.cpp refuses to read. What it makes is no
token, so that the two signs are taken apart again."""

File = Mapping[str, Any]


class TokenType(IntEnum):
    """As gguf.TokenType has them; that package takes numpy and time to import."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What GGUF is told of a tokenizer.

    Attributes:
        model: "gpt2" (byte-level BPE), "llama" (SentencePiece's BPE) or "t5" (its unigram).
        pre: llama.cpp's name of how text is divided into words; only "gpt2" asks.
        space_prefix: whether a space is put in front of a text.
        tokens, types: of each id.
        scores: of each id; empty for "gpt2".
        merges: pairs with a space between; only of "gpt2".
        reasons: what llama.cpp will do otherwise, a sentence each; none where it is exact.
    """

    model: str
    pre: str
    space_prefix: bool
    tokens: Sequence[str]
    types: Sequence[TokenType]
    scores: Sequence[float] = ()
    merges: Sequence[str] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """A tokenizer.json.

    Attributes:
        size: ids, those of rows without a token included.
        spelt: token → id, of all.
        ordinary: those of them that are no control tokens.
        controls: the control tokens.
        added: tokens that are looked for in a text before it is divided.
    """

    model: File
    splitting: Splitting
    size: int
    spelt: Mapping[str, int]
    ordinary: Mapping[str, int]
    controls: frozenset[str]
    added: Sequence[File]


def vocabulary_of(folder: Path, size: int) -> Vocabulary:
    """The vocabulary of a bundle.

    Args:
        size: rows of the model's table; ids that no token has are filled up.

    Raises:
        ConfigError: GGUF has nothing like this tokenizer.
    """
    read = _read(folder / FILE, size)
    kind = read.model["type"]
    if read.splitting.bytes_spelt:
        return _byte_level(read, kind)
    if read.splitting.spaces_spelt and kind == "BPE" and read.model.get("byte_fallback"):
        return _sentencepiece_bpe(read)
    if read.splitting.spaces_spelt and kind == "Unigram":
        return _sentencepiece_unigram(read)
    raise ConfigError(
        f"GGUF has no form for this tokenizer ({kind}, {read.splitting.described})",
        where=str(folder / FILE),
        fixes=("export it for transformers: --to hf", "train with the tokenizer bpe"),
    )


def _read(path: Path, rows: int) -> _Read:
    file: File = json.loads(path.read_text("utf-8"))
    model, added = file["model"], file["added_tokens"]
    pieces = model["vocab"]
    if isinstance(pieces, list):  # Unigram: pairs of a piece and its score
        pieces = {piece: number for number, (piece, _) in enumerate(pieces)}
    spelt = {**pieces, **{token["content"]: token["id"] for token in added}}
    controls = frozenset(token["content"] for token in added if token["special"])
    ordinary = {token: number for token, number in spelt.items() if token not in controls}
    size = max(rows, 1 + max(spelt.values()))
    return _Read(model, splitting_of(file), size, spelt, ordinary, controls, added)


def _byte_level(read: _Read, kind: str) -> Vocabulary:
    reasons = [*read.splitting.reasons, *_of_added(read)]
    if kind == "BPE":
        merges = [_pair(merge) for merge in read.model["merges"]]
        reasons += _of_bpe(read)
    else:
        merges = [" ".join(pair) for pair in _all_pairs(read.ordinary)]
        reasons.append(f"llama.cpp knows no byte-level {kind}: it joins bytes as BPE does")
    missing = len(byte_of_letter().keys() - read.ordinary.keys())
    if missing:
        reasons.append(f"{missing} of the 256 bytes are no tokens")
    pre = read.splitting.pre
    return _vocabulary(read, "gpt2", pre, merges=merges or [_NO_MERGE], reasons=reasons)


def _pair(merge: str | Sequence[str]) -> str:
    return merge if isinstance(merge, str) else " ".join(merge)


def _of_bpe(read: _Read) -> list[str]:
    """What of a BPE model llama.cpp does not do."""
    model, reasons = read.model, []
    if model.get("dropout"):
        reasons.append("its merges are left out by chance (dropout)")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        reasons.append("its tokens carry a sign at the beginning or end of words")
    if bool(model.get("ignore_merges")) is not read.splitting.whole_words:
        reasons.append("words that are tokens as a whole are looked for, or are not, otherwise")
    return reasons


def _sentencepiece_bpe(read: _Read) -> Vocabulary:
    """SentencePiece joins any two neighbours that are a piece, the earliest learnt first."""
    reasons = [*read.splitting.reasons, *_of_added(read)]
    learnt = {piece: i for piece, i in read.ordinary.items() if piece not in _BYTES}
    pairs = _all_pairs(learnt)
    ranks = {_pair(merge): rank for rank, merge in enumerate(read.model["merges"])}
    if set(ranks) != {" ".join(pair) for pair in pairs} or not _in_order(ranks, learnt):
        reasons.append("its merges are not those that SentencePiece would make")
    if any(SPACE in piece[1:] for piece in learnt):
        reasons.append("pieces reach over a space")
    # Made of two others, such a spelling in a text would become what it spells.
    reached = [
        name for name in (*read.controls, *_BYTES & read.spelt.keys()) if _cuts(name, learnt)
    ]
    if reached:
        reasons.append(f"a text that has '{min(reached)}' in it would become that token")
    if not read.spelt.keys() >= _BYTES:
        reasons.append("not all of the 256 bytes are tokens")
    scores = [-float(number) for number in range(read.size)]
    return _vocabulary(read, "llama", "default", scores=scores, reasons=reasons)


def _in_order(ranks: Mapping[str, int], learnt: Mapping[str, int]) -> bool:
    """Whether what was learnt earlier is joined earlier."""
    made = [learnt[merge.replace(" ", "")] for merge in sorted(ranks, key=ranks.__getitem__)]
    return made == sorted(made)


def _all_pairs(pieces: Mapping[str, int]) -> list[tuple[str, str]]:
    """Every pair of pieces that makes a piece, that of the lower id first."""
    ranked = sorted(pieces, key=pieces.__getitem__)
    return [pair for piece in ranked for pair in _cuts(piece, pieces)]


def _cuts(piece: str, pieces: Mapping[str, int]) -> list[tuple[str, str]]:
    cuts = ((piece[:place], piece[place:]) for place in range(1, len(piece)))
    return [pair for pair in cuts if pair[0] in pieces and pair[1] in pieces]


def _sentencepiece_unigram(read: _Read) -> Vocabulary:
    reasons = [*read.splitting.reasons, *_of_added(read)]
    if read.model.get("byte_fallback"):
        reasons.append("llama.cpp writes rare characters as the unknown token, not as their bytes")
    else:
        reasons.append("llama.cpp may divide words otherwise where scores are equal")
    scores = [score for _, score in read.model["vocab"]]
    scores += [0.0] * (read.size - len(scores))
    return _vocabulary(read, "t5", "default", scores=scores, reasons=reasons)


def _of_added(read: _Read) -> list[str]:
    """Added tokens that are found in another way than by their spelling alone."""
    flags = ("single_word", "lstrip", "rstrip", "normalized")
    odd = [token for token in read.added if not token["special"] and any(map(token.get, flags))]
    return [f"the token '{token['content']}' takes the blanks around it" for token in odd[:1]]


def _vocabulary(
    read: _Read,
    model: str,
    pre: str,
    *,
    scores: Sequence[float] = (),
    merges: Sequence[str] = (),
    reasons: Sequence[str] = (),
) -> Vocabulary:
    names = {number: token for token, number in read.spelt.items()}
    tokens = [names.get(number, f"[PAD{number}]") for number in range(read.size)]
    types = [
        _type(token, read, model) if number in names else TokenType.UNUSED
        for number, token in enumerate(tokens)
    ]
    prefix = read.splitting.space_prefix
    return Vocabulary(model, pre, prefix, tokens, types, scores, merges, tuple(reasons))


def _type(token: str, read: _Read, model: str) -> TokenType:
    unknown = read.model.get("unk_token", read.model.get("unk_id"))
    if unknown is not None and model != "gpt2" and unknown in (token, read.spelt[token]):
        return TokenType.UNKNOWN
    if token in read.controls:
        return TokenType.CONTROL
    if any(token == added["content"] for added in read.added):
        return TokenType.USER_DEFINED
    return TokenType.BYTE if model != "gpt2" and token in _BYTES else TokenType.NORMAL
