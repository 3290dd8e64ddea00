"""The elements of one JSON array, however large, found by their brackets and strings alone.

Written by hand because a row has to be named by its line and a bad one passed over, which
streaming parsers (ijson) cannot do: they stop at the first error and do not know lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from create_llm_text.json_values import parse
from create_llm_text.rows import LARGEST_ROW, Bad, Row, RowError, Rows, too_long

# A string has no line feed in it, so that one that is not closed ends with its line.
_INSIDE = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
# Up to the next sign that matters, over whole strings; a comma matters between elements only.
_BETWEEN = re.compile(rb'(?:[^"\[\]{},]++|"' + _INSIDE.pattern + rb'")*+')
_WITHIN = re.compile(rb'(?:[^"\[\]{}]++|"' + _INSIDE.pattern + rb'")*+')
_BLANK = re.compile(rb"\s*")
_STRING = re.compile(rb'"' + _INSIDE.pattern + rb'"?')
_SIGN = re.compile(rb"[\[\]{},:]")
_SHOWN = 40
_FIX = "a JSON formatter shows where a bracket or quote is missing"


def read_array(
    chunks: Iterable[bytes], line: int = 1, *, after: bytes = b"", limit: int = LARGEST_ROW
) -> Rows:
    """The rows of an array, from what follows its opening bracket, which is in line `line`.

    Where a bracket is missing, so that rows run into each other, they are divided where a line
    begins as other rows do.

    Args:
        after: what the file ends with after the array.
        limit: bytes that a row may have; a longer one is passed over, not held.
    """
    array = _Array(line, limit)
    for chunk in chunks:
        yield from array.feed(chunk)
    yield from array.close(after)


def is_one_value(data: bytes) -> bool:
    """Whether a value ends where the data does, as far as its brackets and strings show."""
    scanner = _Scanner()
    return next(scanner.ends(data), None) is None and scanner.is_at_rest


class _Array:
    """What is known between two chunks: the element so far, and where it began."""

    def __init__(self, line: int, limit: int) -> None:
        self._limit = limit
        self._line = line  # of the first byte that is held
        self._scanner = _Scanner()
        self._held: list[bytes] = []
        self._size = 0
        self._dropped: Bad | None = None
        self._row_start: bytes | None = None
        self._tail = b""

    def feed(self, chunk: bytes) -> Rows:
        start = 0
        if not self._scanner.closed:
            for end in self._scanner.ends(chunk):
                yield from self._element(chunk[start:end], last=self._scanner.closed)
                start = end + 1
        if not self._scanner.closed:
            yield from self._hold(chunk[start:])
        elif len(self._tail) < _SHOWN:
            self._tail = (self._tail + chunk[start:]).strip()

    def close(self, after: bytes) -> Rows:
        """What is left at the end of the file."""
        parts = self._divided(b"".join(self._held))
        if len(parts) > 1:
            yield from self._begin_again(parts)
        if not self._scanner.closed:
            yield from self._element(b"", last=True)
            problem = "the list of rows is not closed: the file may be cut off"
            yield Bad(self._line, problem, "add the missing end, or copy the file again")
        elif self._tail != after:
            more = self._tail[:_SHOWN].decode("utf-8", "replace")
            yield Bad(self._line, f"the file goes on after the list of rows: {more}", _FIX)

    def _hold(self, piece: bytes) -> Rows:
        self._size += len(piece)
        if self._dropped is not None:
            self._line += piece.count(b"\n")
            return
        self._held.append(piece)
        if self._size > self._limit:
            raw = b"".join(self._held)
            parts = self._divided(raw)
            if len(parts) > 1:
                yield from self._begin_again(parts)
            else:
                self._dropped = too_long().at(self._line + _leading(raw).count(b"\n"))
                self._line += raw.count(b"\n")
                self._held.clear()

    def _element(self, end: bytes, *, last: bool) -> Rows:
        """The element that ends here, at a comma or the end of the list."""
        raw = b"".join((*self._held, end))
        if self._dropped is not None:
            yield self._dropped
        elif raw.strip() or not last:
            self._row_start = self._row_start or _row_start(raw)
            yield from self._parsed(raw, self._line)
        self._line += raw.count(b"\n")
        self._held.clear()
        self._size, self._dropped = 0, None

    def _parsed(self, raw: bytes, line: int) -> Rows:
        body = raw.strip().removesuffix(b",")
        first = line + _leading(raw).count(b"\n")
        try:
            if not body:
                raise RowError("nothing stands between two commas", "remove one of them")
            if len(body) > self._limit:
                raise too_long()
            yield Row(first, len(body), parse(body))
        except RowError as error:
            parts = self._divided(raw)
            if len(parts) == 1 or _is_nested_rightly(raw):
                yield error.at(first)
                return
            for part in parts:
                yield from self._parsed(part, line)
                line += part.count(b"\n")

    def _begin_again(self, parts: list[bytes]) -> Rows:
        """All but the last part as rows, and the last read anew: it may not be whole."""
        for part in parts[:-1]:
            yield from self._parsed(part, self._line)
            self._line += part.count(b"\n")
        self._scanner = _Scanner()
        self._held.clear()
        self._size = 0
        yield from self.feed(parts[-1])

    def _divided(self, raw: bytes) -> list[bytes]:
        start = self._row_start or _row_start(raw)
        if start is None:
            return [raw]
        places = [found.start() for found in re.finditer(re.escape(start), raw)]
        if places and not raw[: places[0]].strip():
            del places[0]
        return [raw[a:b] for a, b in zip([0, *places], [*places, len(raw)], strict=True)]


class _Scanner:
    """Finds the commas and the bracket that end the elements of an array."""

    def __init__(self) -> None:
        self.closed = False
        self._depth = 0
        self._in_string = self._escaped = False

    def ends(self, chunk: bytes) -> Iterator[int]:
        """The places in the next chunk at which an element ends."""
        place = self._after_string(chunk, 0) if self._in_string else 0
        while not self.closed and place < len(chunk):
            skipped = (_WITHIN if self._depth else _BETWEEN).match(chunk, place)
            place = skipped.end() if skipped else place
            sign, place = chunk[place : place + 1], place + 1
            if sign == b'"':  # of a string that does not end in this chunk, or in its line
                self._in_string = True
                place = self._after_string(chunk, place)
            elif sign in (b"[", b"{"):
                self._depth += 1
            elif self._depth and sign in (b"]", b"}"):
                self._depth -= 1
            elif self._depth == 0 and sign in (b",", b"]"):
                self.closed = sign == b"]"
                yield place - 1

    @property
    def is_at_rest(self) -> bool:
        """Whether no bracket and no string is open."""
        return self._depth == 0 and not self._in_string

    def _after_string(self, chunk: bytes, place: int) -> int:
        """The place after the string that `place` is in, or the end of the chunk."""
        if self._escaped and chunk:
            place, self._escaped = place + 1, False
        match = _INSIDE.match(chunk, place)
        end = match.end() if match else place
        if chunk[end : end + 2] == b"\\":
            self._escaped = True
        elif end < len(chunk):
            self._in_string = False
        return end + 1


def _is_nested_rightly(raw: bytes) -> bool:
    """Whether the brackets of an element are its own, and no other element has run into it."""
    opened, before = bytearray(), b""
    for found in _SIGN.finditer(_STRING.sub(b"", raw)):
        sign = found[0]
        if sign in (b"[", b"{"):
            if opened.endswith(b"{") and before != b":":  # where only a key may stand
                return False
            opened += sign
        elif sign in (b"]", b"}"):
            if not opened.endswith(b"[" if sign == b"]" else b"{"):
                return False
            opened.pop()
        before = sign
    return not opened


def _leading(raw: bytes) -> bytes:
    blank = _BLANK.match(raw)
    return blank[0] if blank else b""


def _row_start(raw: bytes) -> bytes | None:
    """How the line that an element begins begins: its indent and first byte; None within a line."""
    leading = _leading(raw)
    place = leading.rfind(b"\n")
    return None if place < 0 else leading[place:] + raw[len(leading) : len(leading) + 1]
