"""Rows of JSON files: one a line, in a list, in a list under a key, or the file itself.

Which of them a file is its beginning says, not its name: many .json files are JSON lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from create_llm_text.json_array import read_array
from create_llm_text.json_values import parse
from create_llm_text.lines import read_lines
from create_llm_text.rows import LARGEST_ROW, Row, RowError, Rows, too_long

Shape = Literal["lines", "array", "rows under a key", "one row"]
_DECODER = json.JSONDecoder()
_GAP = re.compile(r"[\s,:]*")
_FIRST = re.compile(r"\[\s*\{")
_ROLES = frozenset(("role", "from"))


@dataclass(frozen=True, slots=True)
class JsonShape:
    """Where the rows of a file are.

    Attributes:
        start: bytes before the first row of a list.
        evidence: what shows it.
    """

    shape: Shape
    start: int
    evidence: str

    @property
    def format(self) -> str:
        return "jsonl" if self.shape == "lines" else "json"


def shape_of(head: bytes, named: str) -> JsonShape:
    """What the beginning of a file shows.

    Args:
        named: "json" or "jsonl", as the name of the file says.
    """
    begun = len(head) - len(head.lstrip())
    sign = head[begun : begun + 1]
    line, end, rest = head[begun:].partition(b"\n")
    whole = _is_json(line)
    if sign == b"[" and not (named == "jsonl" and whole):
        return JsonShape("array", begun + 1, "the file is a list")
    if named == "jsonl" or (whole and end and rest.strip()):
        differs = "" if named == "jsonl" else ", whatever the name says"
        return JsonShape("lines", 0, f"each line is JSON of its own{differs}")
    under = _list_under_key(head[begun:]) if sign == b"{" else None
    if under is not None:
        key, start = under
        return JsonShape("rows under a key", begun + start, f"the rows are a list under '{key}'")
    return JsonShape("one row", 0, "the file is one row")


def read_json(head: bytes, rest: Iterable[bytes], shape: JsonShape) -> Rows:
    """The rows of a file that begins with `head`."""
    if shape.shape == "lines":
        return _lines(chain([head], rest))
    if shape.shape == "one row":
        return _one(chain([head], rest))
    line = 1 + head.count(b"\n", 0, shape.start)
    after = b"}" if shape.shape == "rows under a key" else b""
    return read_array(chain([head[shape.start :]], rest), line, after=after)


def _lines(chunks: Iterable[bytes]) -> Rows:
    for number, line in read_lines(chunks):
        try:
            if line is None:
                raise too_long()
            if line.strip():
                yield Row(number, len(line), parse(line))
        except RowError as error:
            yield error.at(number)


def _one(chunks: Iterable[bytes]) -> Rows:
    held, size = list[bytes](), 0
    for chunk in chunks:
        size += len(chunk)
        if size > LARGEST_ROW:
            yield too_long().at(1)
            return
        held.append(chunk)
    data = b"".join(held)
    if not data.strip():
        return
    try:
        yield Row(1, size, parse(data))
    except RowError as error:
        yield error.at(1)


def _is_json(line: bytes) -> bool:
    try:
        parse(line)
    except RowError:
        return False
    return True


def _list_under_key(head: bytes) -> tuple[str, int] | None:
    """The key of an object whose value is a list of objects, and the place after its bracket.

    A conversation is such an object too, and a row of its own: its list is of messages. A list of
    rows that hold conversations is none.
    """
    text = head.decode("utf-8", "ignore")
    for key, start in _keys(text):
        first = _FIRST.match(text, start)
        if first is not None:
            if _ROLES.intersection(name for name, _ in _keys(text[first.end() - 1 :])):
                return None
            return key, len(text[: start + 1].encode())
    return None


def _keys(text: str) -> Iterator[tuple[str, int]]:
    """The keys of an object with the places of their values, as far as the text goes."""
    place = 1
    try:
        while True:
            gap = _GAP.match(text, place)
            key, place = _DECODER.raw_decode(text, gap.end() if gap else place)
            gap = _GAP.match(text, place)
            place = gap.end() if gap else place
            if not isinstance(key, str):
                return
            yield key, place
            _, place = _DECODER.raw_decode(text, place)
    except (ValueError, RecursionError):
        return
