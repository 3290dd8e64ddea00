"""How a tokenizer.json divides text before its model sees it, in llama.cpp's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SPACE = "\u2581"
"""What SentencePiece writes for a space."""

_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_PATTERNS: Mapping[str, tuple[str, bool]] = {
    _LLAMA3: ("llama-bpe", True),
    _QWEN2: ("qwen2", False),
}
"""Patterns of words → llama.cpp's name, and whether it takes words that are tokens as they are."""


@dataclass(frozen=True, slots=True)
class Splitting:
    """What happens to a text.

    Attributes:
        described: for a person.
        bytes_spelt: bytes are spelt as letters, as in GPT-2.
        spaces_spelt: spaces are spelt "▁", as in SentencePiece.
        pre: llama.cpp's name.
        whole_words: llama.cpp takes words that are tokens without looking at the merges.
        space_prefix: a space is put in front.
        reasons: what llama.cpp does otherwise.
    """

    described: str
    bytes_spelt: bool = False
    spaces_spelt: bool = False
    pre: str = "gpt-2"
    whole_words: bool = False
    space_prefix: bool = False
    reasons: tuple[str, ...] = ()


def splitting_of(file: Mapping[str, Any]) -> Splitting:
    normalizers, steps = _steps(file["normalizer"]), _steps(file["pre_tokenizer"])
    if any(step["type"] == "ByteLevel" for step in steps):
        reasons = [f"llama.cpp does not normalise text ({n['type']})" for n in normalizers]
        return _byte_level(steps, reasons)
    if not normalizers and [step["type"] for step in steps] == ["Metaspace"]:
        return _metaspace(steps[0])
    kinds = [step["type"] for step in (*normalizers, *steps)]
    if kinds == ["Prepend", "Replace"] and normalizers[1].get("content") == SPACE:
        return Splitting("as SentencePiece", spaces_spelt=True, space_prefix=True)
    return Splitting(", ".join(kinds) or "whole texts")


def _steps(part: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if part is None:
        return []
    inner = part.get("pretokenizers") or part.get("normalizers")
    return [part] if inner is None else [step for each in inner for step in _steps(each)]


def _metaspace(step: Mapping[str, Any]) -> Splitting:
    scheme = step.get("prepend_scheme", "always")
    odd = scheme == "first" or step["replacement"] != SPACE
    reasons = ("spaces are spelt otherwise than in SentencePiece",) if odd else ()
    return Splitting(
        "as SentencePiece", spaces_spelt=True, space_prefix=scheme != "never", reasons=reasons
    )


def _byte_level(steps: Sequence[Mapping[str, Any]], reasons: list[str]) -> Splitting:
    pre, whole, rest = "gpt-2", False, list(steps)
    last = next(step for step in steps if step["type"] == "ByteLevel")
    rest.remove(last)
    found = _PATTERNS.get(_pattern(steps[0])) if steps[0]["type"] == "Split" else None
    if found is not None and not last.get("use_regex", True):
        (pre, whole), rest = found, rest[1:]
    elif not last.get("use_regex", True):
        reasons.append("llama.cpp does not know its pattern of words")
    if last.get("add_prefix_space", True):
        reasons.append("a space is put in front of texts")
    reasons += [f"llama.cpp does not divide words further ({_told(step)})" for step in rest]
    return Splitting(
        "of bytes", bytes_spelt=True, pre=pre, whole_words=whole, reasons=tuple(reasons)
    )


def _pattern(step: Mapping[str, Any]) -> str:
    """Of a step that keeps what it finds as words of their own; else what is no pattern."""
    isolated = step.get("behavior") == "Isolated" and not step.get("invert")
    return str(step["pattern"].get("Regex", "")) if isolated else ""


def _told(step: Mapping[str, Any]) -> str:
    pattern = step.get("pattern", {})
    said = next(iter(pattern.values()), "") if isinstance(pattern, dict) else pattern
    return f"{step['type']} {said}".strip()
