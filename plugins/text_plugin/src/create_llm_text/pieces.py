"""A text file as pieces of text, read with flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from create_llm_text.rows import Bad


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a file; `line` is its first, from 1."""

    text: str
    line: int


def read_blocks(chunks: Iterable[bytes], limit: int) -> Iterator[Piece | Bad]:
    """The file in blocks of whole lines, at most `limit` UTF-8 bytes each.

    A longer line is cut between two characters. CRLF becomes LF; otherwise the blocks joined are
    the file, but for lines that are not text, which are told apart.
    """
    line = 1
    for data in _cut(_normalised(chunks), limit, b""):
        piece = _decode(data, line)
        if isinstance(piece, Piece):
            yield piece
        else:
            yield from _line_by_line(data, line)
        line += data.count(b"\n")


def read_separated(chunks: Iterable[bytes], limit: int, separator: str) -> Iterator[Piece | Bad]:
    """What stands between the separators in a file, without the line breaks around them.

    What is longer than `limit` bytes is cut further, as in `read_blocks`, so that memory stays
    flat when the separator never comes.
    """
    mark = separator.replace("\r\n", "\n").encode()
    line = 1
    for data in _cut(_normalised(chunks), limit, mark):
        piece = _decode(data.removesuffix(mark), line)
        if isinstance(piece, Bad):
            yield piece
        elif piece.text.strip():
            leading = len(piece.text) - len(piece.text.lstrip("\n"))
            yield Piece(piece.text.strip("\n"), line + leading)
        line += data.count(b"\n")


def _normalised(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes with line ends as LF."""
    held = b""
    for chunk in chunks:
        chunk = held + chunk
        held = b"\r" if chunk.endswith(b"\r") else b""
        yield chunk[: len(chunk) - len(held)].replace(b"\r\n", b"\n")
    yield held


def _cut(chunks: Iterator[bytes], limit: int, mark: bytes) -> Iterator[bytes]:
    """Pieces of at most `limit` bytes, not counting the mark that ends a piece, if one does."""
    buffer, start = b"", 0
    for chunk in chunks:
        buffer, start = buffer[start:] + chunk, 0
        while (end := _end(buffer, start, limit, mark)) is not None:
            yield buffer[start:end]
            start = end
    if buffer[start:]:
        yield buffer[start:]


def _end(buffer: bytes, start: int, limit: int, mark: bytes) -> int | None:
    """Where the piece at `start` ends; None when only more of the file can tell."""
    found = buffer.find(mark, start, start + limit + len(mark)) if mark else -1
    if found >= 0:
        return found + len(mark)
    if len(buffer) - start <= limit + len(mark):
        return None
    stop = start + limit
    after_line = buffer.rfind(b"\n", start, stop) + 1
    return after_line or _before_character(buffer, stop)


def _before_character(buffer: bytes, stop: int) -> int:
    """The last place up to `stop` that does not divide a character (of at most four bytes)."""
    for place in range(stop, stop - 4, -1):
        if buffer[place] & 0xC0 != 0x80:
            return place
    return stop


def _line_by_line(data: bytes, line: int) -> Iterator[Piece | Bad]:
    """The lines of a block of which some are not text: those, and the stretches between them."""
    good, first = "", line
    for number, each in enumerate(_lines(data), start=line):
        piece = _decode(each, number)
        if isinstance(piece, Piece):
            good, first = good + piece.text, first if good else number
            continue
        if good:
            yield Piece(good, first)
        yield piece
        good = ""
    if good:
        yield Piece(good, first)


def _lines(data: bytes) -> list[bytes]:
    """Lines with their ends; only a line feed is one."""
    *ended, rest = data.split(b"\n")
    return [line + b"\n" for line in ended] + ([rest] if rest else [])


def _decode(data: bytes, line: int) -> Piece | Bad:
    """A stretch of text; Bad where it holds what is no text, with the line of the first such."""
    try:
        text = data.decode("utf-8")
        place = data.find(b"\0")
    except UnicodeDecodeError as error:
        place = error.start
    if place < 0:
        return Piece(text, line)
    line += data.count(b"\n", 0, place)
    what = "is no text" if data[place] == 0 else "is not text in the encoding of the file"
    return Bad(line, f"byte 0x{data[place]:02x} {what}", "write the line anew, or remove it")
