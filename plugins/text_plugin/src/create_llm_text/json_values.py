"""One JSON value, read strictly."""

from __future__ import annotations

import json
import re
from collections import Counter

from create_llm_text.rows import RowError

# Rows are a handful of levels deep. The parser itself gives up at a depth that depends on who
# called it; a fixed limit below that says the same thing of the same row everywhere.
DEEPEST = 64
_MOST_DIGITS = 4300  # as Python's int(): converting takes quadratic time

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_FIX = "mend the commas, quotes and brackets there; a JSON formatter shows the place"


def parse(data: bytes) -> object:
    """The value that `data` spells in UTF-8.

    Raises:
        RowError: it is not JSON as RFC 8259 has it (NaN and Infinity are not), repeats a key,
            is nested deeper than 64 levels, or holds an integer of more than 4,300 digits.
    """
    text = decoded(data)
    _refuse_deep(data)
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno} of the row, " if error.lineno > 1 else ""
        what = error.msg.removesuffix(" at")
        raise RowError(f"not JSON: {what} at {line}column {error.colno}", _FIX) from error


def decoded(data: bytes) -> str:
    """A row as text.

    Raises:
        RowError: it is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RowError(
            f"byte 0x{data[error.start]:02x} at byte {error.start + 1} of the row is not UTF-8",
            "write the character anew, or convert the whole file to UTF-8",
        ) from error


def _refuse_deep(data: bytes) -> None:
    if data.count(b"[") + data.count(b"{") <= DEEPEST:
        return
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise RowError(
            f"nested {deepest:,} levels deep; at most {DEEPEST} are read",
            "flatten the row: text, or a list of messages, is all that is needed",
        )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        (name, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise RowError(f"the key '{name}' stands twice in one object", "keep one of them")
    return values


def _refuse_constant(name: str) -> object:
    raise RowError(f"{name} is not JSON", "write null, or leave the key out")


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise RowError(
            f"an integer of {len(digits):,} digits", "write it as a string, or leave the key out"
        )
    return int(digits)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_int=_integer
)
