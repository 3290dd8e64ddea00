"""Rows of JSON files: one a line, in a list, in a list under a key, or the file itself.

Which of them a file is its beginning says, not its name: many .json files are JSON lines.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Literal

from create_llm_text.compression import READ
from create_llm_text.json_array import is_one_value, read_array
from create_llm_text.json_values import parse
from create_llm_text.lines import read_lines
from create_llm_text.rows import LARGEST_ROW, Row, RowError, Rows, too_long

Shape = Literal["lines", "array", "rows under a key", "one row"]
_DECODER = json.JSONDecoder()
_GAP = re.compile(r"[\s,:]*")
_FIRST = re.compile(r"\[\s*\{")
_ROLES = frozenset(("role", "from"))
# The first line may be broken and end as if the value went on; the next two then tell.
_LINES_SEEN = 3


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


def read_on(head: bytes, rest: Iterator[bytes], named: str) -> bytes:
    """The beginning of a file, as much of it as `shape_of` needs; `rest` goes on after it.

    Objects one a line differ from a list under a key only where the first line ends, which in a
    large file may be a row of 64 MB away: that much is then held.

    Args:
        named: "json" or "jsonl", as the name of the file says.
    """
    begun = head.lstrip()
    if begun[:1] != (b"[" if named == "jsonl" else b"{"):
        return head
    held, ends = io.BytesIO(), begun.count(b"\n")  # whose content is not copied in the end
    size = held.write(head)
    while ends < _LINES_SEEN and size <= LARGEST_ROW and (piece := next(rest, None)) is not None:
        size += held.write(piece)
        ends += piece.count(b"\n")
    return held.getvalue()


def shape_of(head: bytes, named: str) -> JsonShape:
    """What the beginning of a file shows.

    Args:
        head: as `read_on` gives it.
        named: "json" or "jsonl", as the name of the file says.
    """
    begun = len(head) - len(head.lstrip())
    sign, first = head[begun : begun + 1], head[begun : begun + READ]  # keys are looked for there
    if sign == b"[" and not (
        named == "jsonl" and (_has_lines(head, sign) or _is_conversation(head))
    ):
        return JsonShape("array", begun + 1, "the file is a list")
    if named == "jsonl" or _has_lines(head, sign):
        differs = "" if named == "jsonl" else ", whatever the name says"
        return JsonShape("lines", 0, f"each line is JSON of its own{differs}")
    under = _list_under_key(first) if sign == b"{" else None
    if under is not None:
        key, start = under
        return JsonShape("rows under a key", begun + start, f"the rows are a list under '{key}'")
    return JsonShape("one row", 0, "the file is one row")


def read_json(head: bytes, rest: Iterable[bytes], shape: JsonShape) -> Rows:
    """The rows of a file that begins with `head`."""
    start = shape.start
    chunks = chain((head[at : at + READ] for at in range(start, len(head), READ)), rest)
    if shape.shape == "lines":
        return _lines(chunks)
    if shape.shape == "one row":
        return _one(chunks)
    line = 1 + head.count(b"\n", 0, start)
    after = b"}" if shape.shape == "rows under a key" else b""
    return read_array(chunks, line, after=after)


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
            yield RowError(
                f"the file begins with a row longer than {LARGEST_ROW >> 20} MB, which shows no "
                "end of rows",
                "if each line is a row, let the name end in .jsonl: the others are read then",
            ).at(1)
            return
        held.append(chunk)
    data = b"".join(held)
    if not data.strip():
        return
    try:
        yield Row(1, size, parse(data))
    except RowError as error:
        yield error.at(1)


def _has_lines(head: bytes, sign: bytes) -> bool:
    """Whether a file that begins with `sign` is values one a line, some of them broken perhaps."""
    lines = [line for each in head.split(b"\n") if (line := each.strip())]
    if len(lines) < 2:
        return False
    if sign not in (b"{", b"["):
        return _is_json(lines[0])
    # Within one value, another can begin a line only after one of these.
    return is_one_value(lines[0]) or any(
        line.startswith(sign) and not before.endswith((b"[", b",", b":")) and is_one_value(line)
        for before, line in pairwise(lines)
    )


def _is_conversation(head: bytes) -> bool:
    """Whether a list that is the one line of a file is of messages."""
    text = head[:READ].decode("utf-8", "ignore").strip()
    return b"\n" not in head.strip() and _first_has_role(text, 0)


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
        if _FIRST.match(text, start):
            if _first_has_role(text, start):
                return None
            return key, len(text[: start + 1].encode())
    return None


def _first_has_role(text: str, start: int) -> bool:
    """Whether the first object of the list that begins at `start` is a message."""
    first = _FIRST.match(text, start)
    keys = _keys(text[first.end() - 1 :]) if first else ()
    return not _ROLES.isdisjoint(name for name, _ in keys)


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
