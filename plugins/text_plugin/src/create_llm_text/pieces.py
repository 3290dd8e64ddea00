"""A file as pieces of text, read with flat memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from create_llm.errors import DataError

_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a file; `line` is its first, from 1."""

    text: str
    line: int


def read_blocks(path: Path, limit: int) -> Iterator[Piece]:
    """The file in blocks of whole lines, at most `limit` UTF-8 bytes each.

    A longer line is cut between two characters. A byte-order mark is dropped and CRLF becomes LF;
    otherwise the blocks joined are the file.

    Raises:
        DataError: the file is not UTF-8 text; says in which line.
    """
    line = 1
    for data in _cut(_normalised(path), limit, b""):
        yield Piece(_decode(data, path, line), line)
        line += data.count(b"\n")


def read_separated(path: Path, limit: int, separator: str) -> Iterator[Piece]:
    """What stands between the separators in a file, without the line breaks around them.

    What is longer than `limit` bytes is cut further, as in `read_blocks`, so that memory stays
    flat when the separator never comes.

    Raises:
        DataError: the file is not UTF-8 text; says in which line.
    """
    mark = separator.replace("\r\n", "\n").encode()
    line = 1
    for data in _cut(_normalised(path), limit, mark):
        text = _decode(data.removesuffix(mark), path, line)
        leading = len(text) - len(text.lstrip("\n"))
        if text.strip():
            yield Piece(text.strip("\n"), line + leading)
        line += data.count(b"\n")


def _normalised(path: Path) -> Iterator[bytes]:
    """The bytes of a file with line ends as LF and without a byte-order mark."""
    with path.open("rb") as file:
        held = file.read(len(_BOM)).removeprefix(_BOM)
        while chunk := file.read(_READ):
            chunk = held + chunk
            held = b"\r" if chunk.endswith(b"\r") else b""
            yield chunk[: len(chunk) - len(held)].replace(b"\r\n", b"\n")
        yield held.replace(b"\r\n", b"\n")


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


def _decode(data: bytes, path: Path, line: int) -> str:
    nul = data.find(b"\0")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_text(data, error.start, path, line) from error
    if nul >= 0:
        raise _not_text(data, nul, path, line)
    return text


def _not_text(data: bytes, place: int, path: Path, line: int) -> DataError:
    line += data.count(b"\n", 0, place)
    encoding = "UTF-16" if data.startswith(_UTF16_BOMS) else "WINDOWS-1252"
    return DataError(
        f"{path.name} is not UTF-8 text: byte 0x{data[place]:02x} in line {line}",
        where=f"{path}:{line}",
        fixes=(
            f"convert it: iconv -f {encoding} -t UTF-8 {path.name} > {path.stem}.utf8.txt "
            "(and remove the original)",
            "if it is not text at all, move it out of the folder",
        ),
    )
