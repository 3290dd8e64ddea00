"""Bytes as lines, which only a line feed ends, none of them held beyond a limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from create_llm_text.rows import LARGEST_ROW


def read_lines(
    chunks: Iterable[bytes], limit: int = LARGEST_ROW
) -> Iterator[tuple[int, bytes | None]]:
    """Number, from 1, and content of each line, without its end (LF or CRLF).

    A line of more than `limit` bytes is None: it is passed over, not held.
    """
    number, held, size = 1, list[bytes](), 0
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for end in ended:
            size += len(end)
            yield number, _joined(held, end) if size <= limit else None
            number, size = number + 1, 0
            held.clear()
        size += len(rest)
        if size <= limit:
            held.append(rest)
        else:
            held.clear()
    if size:
        yield number, _joined(held, b"") if size <= limit else None


def _joined(held: list[bytes], end: bytes) -> bytes:
    line = b"".join((*held, end)) if held else end
    return line.removesuffix(b"\r")
