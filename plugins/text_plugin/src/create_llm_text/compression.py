"""The bytes of a file, decompressed where its name says so, a little at a time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from create_llm_text.rows import Unreadable

GZIP, ZSTANDARD = "gz", "zst"
COMPRESSIONS = (GZIP, ZSTANDARD)

READ = 1 << 15
_ZSTANDARD_READ = 256  # 64 blocks at most, each of at most 128 KB
# Text becomes 3 to 20 times smaller, a log file perhaps 100 times; a file that was made to fill
# the disk, 1,000 times and more. A small file is read whatever its ratio.
_LARGEST_RATIO = 250
_ALWAYS_READ = 64 << 20


class Content:
    """The content of a file, decompressed, in chunks of 32 KB or not much more; read once.

    Attributes:
        error: why the file could not be read to its end, if it could not; set when the chunks end.
    """

    def __init__(self, path: Path, compression: str | None) -> None:
        self._path, self._compression = path, compression
        self.error: Unreadable | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from _read_chunks(self._path, self._compression)
        except Unreadable as error:
            self.error = error


def _read_chunks(path: Path, compression: str | None) -> Iterator[bytes]:
    """Raises Unreadable when the file cannot be opened or decompressed, or expands too much."""
    try:
        with path.open("rb") as file:
            size = 0
            for chunk in _content(file, compression):
                size += len(chunk)
                if compression and size > max(_ALWAYS_READ, _LARGEST_RATIO * file.tell()):
                    raise _bomb()
                yield chunk
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise _damaged("gzip", error) from error
    except OSError as error:
        raise Unreadable(
            f"the file cannot be read: {error.strerror or error}",
            "see whether it is still there, and whether you may read it",
        ) from error


def _content(file: BinaryIO, compression: str | None) -> Iterator[bytes]:
    if compression == ZSTANDARD:
        return _from_zstandard(file)
    content = gzip.GzipFile(fileobj=file) if compression == GZIP else file
    return iter(lambda: content.read(READ), b"")


def _from_zstandard(file: BinaryIO) -> Iterator[bytes]:
    """The content of a file of frames; one that needs more than 128 MB of memory is refused.

    The library's own reader takes a frame that was cut off for a whole one; the decompressor below
    it knows better, but gives all that comes of its input at once, which is why it gets little.
    """
    import zstandard

    held, size = list[bytes](), 0
    frame = zstandard.ZstdDecompressor().decompressobj()
    begun = False
    try:
        while data := file.read(_ZSTANDARD_READ):
            while data:
                piece, begun = frame.decompress(data), True
                held.append(piece)
                size += len(piece)
                data = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame, begun = zstandard.ZstdDecompressor().decompressobj(), False
            if size >= READ:
                yield b"".join(held)
                held, size = [], 0
    except zstandard.ZstdError as error:
        yield b"".join(held)
        raise _damaged("zstandard", error) from error
    yield b"".join(held)
    if begun:
        raise _damaged("zstandard", EOFError("the last frame has no end"))


def _damaged(kind: str, error: Exception) -> Unreadable:
    return Unreadable(
        f"the {kind} data is damaged or cut off: {error}",
        "download or copy the file again; what could be read before this place is used",
    )


def _bomb() -> Unreadable:
    return Unreadable(
        f"the file expands to more than {_LARGEST_RATIO} times its size, which text does not",
        "if it is what you meant to have, decompress it first; reading stopped here",
    )
