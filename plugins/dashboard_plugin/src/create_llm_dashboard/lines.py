"""A file of events as it grows, in blocks of whole lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_CHUNK_BYTES = 1 << 20
"""A page waits for one at most, and what is made of one takes several times its memory."""
_LONGEST_BYTES = 4 << 20
"""Of a line; what is longer is none of training's."""
# As training writes them; a step that is written otherwise is read as any other event.
_STEP = b'{"event": "step"'
_ODD = re.compile(rb'\n(?!\{"event": "step")')
"""In front of a line that is no step."""


def blocks(path: Path, start: int) -> Iterator[bytes]:
    """The file from a byte on, up to its last line end.

    A block ends with a line, but for one that has no line end at all: that is of a line that is too
    long, so that a look never begins before what it has been through.
    """
    with path.open("rb") as file:
        file.seek(start)
        rest = b""
        while chunk := file.read(_CHUNK_BYTES):
            block, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                yield block + newline
            if len(rest) > _LONGEST_BYTES:
                yield rest
                rest = b""


def odd_lines(block: bytes) -> Iterator[int]:
    """Where the lines of a block begin that are no steps."""
    if block and not block.startswith(_STEP):
        yield 0
    yield from (found.end() for found in _ODD.finditer(block) if found.end() < len(block))
