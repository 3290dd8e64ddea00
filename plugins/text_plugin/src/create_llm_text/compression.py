"""The bytes of a file, decompressed where its name says so, a little at a time."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from create_llm.errors import DataError
from create_llm_text.rows import Damaged, Unreadable

GZIP, ZSTANDARD = "gz", "zst"
COMPRESSIONS = (GZIP, ZSTANDARD)

READ = 1 << 15
_COMPRESSED_READ = 256  # of zstandard 64 blocks at most, each of at most 128 KB
_WITH_HEADER = 16 + zlib.MAX_WBITS  # zlib's way to say: gzip
_PADDING = b"\0"  # tapes and block devices leave it after the last frame
# Text becomes 3 to 20 times smaller, a log file perhaps 100 times; a file that was made to fill
# the disk, 1,000 times and more. A small file is read whatever its ratio.
_LARGEST_RATIO = 250
_ALWAYS_READ = 64 << 20
_FIRST_BYTES = {
    GZIP: re.compile(rb"\x1f\x8b"),
    ZSTANDARD: re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
}
_NAMES = {GZIP: "gzip", ZSTANDARD: "zstandard"}


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


class _Frame(Protocol):
    """What decompresses one frame: of zlib or zstandard."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _read_chunks(path: Path, compression: str | None) -> Iterator[bytes]:
    """
    Raises:
        Unreadable: the file cannot be opened or decompressed, or expands too much.
        DataError: `reading_failed`.
    """
    opened = False
    try:
        with path.open("rb") as file:
            opened = True
            if compression:
                _refuse_other(file, compression)
            size = 0
            for chunk in _content(file, compression):
                size += len(chunk)
                if compression and size > max(_ALWAYS_READ, _LARGEST_RATIO * file.tell()):
                    raise _bomb()
                yield chunk
    except OSError as error:
        if opened:
            raise reading_failed(path, error) from error
        raise Unreadable(
            f"the file cannot be read: {error.strerror or error}",
            "see whether it is still there, and whether you may read it",
        ) from error


def reading_failed(path: Path, error: OSError) -> DataError:
    """The error for a file whose reading failed half-way. That may pass, and what was read until
    then must not be taken for the file."""
    return DataError(
        f"reading failed: {error.strerror or error}",
        where=str(path),
        fixes=("run the same command again", "if it stays so, take the file out"),
    )


def _content(file: BinaryIO, compression: str | None) -> Iterator[bytes]:
    if compression == ZSTANDARD:
        import zstandard

        # A frame that needs more than 128 MB of memory is refused.
        begin = zstandard.ZstdDecompressor().decompressobj
        return _decompressed(file, ZSTANDARD, begin, zstandard.ZstdError)
    if compression == GZIP:
        return _decompressed(file, GZIP, lambda: zlib.decompressobj(_WITH_HEADER), zlib.error)
    return iter(lambda: file.read(READ), b"")


def _decompressed(
    file: BinaryIO, compression: str, begin: Callable[[], _Frame], failure: type[Exception]
) -> Iterator[bytes]:
    """The content of a file of frames (of gzip: members), as far as it can be had.

    The libraries' own readers of files lose what they hold when the data is damaged, and that of
    zstandard takes a frame that was cut off for a whole one; the decompressors below them do not,
    but give all that comes of their input at once, which is why they get little.

    Raises:
        Damaged: after the content before the damage.
    """
    held, size = list[bytes](), 0
    frame, begun, damage = begin(), False, None
    try:
        while data := file.read(_COMPRESSED_READ):
            while data := data if begun else data.lstrip(_PADDING):
                piece, begun = frame.decompress(data), True
                held.append(piece)
                size += len(piece)
                data = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame, begun = begin(), False
            if size >= READ:
                yield b"".join(held)
                held, size = [], 0
    except failure as error:
        damage = _damaged(compression, error)
    yield b"".join(held)
    if damage is not None:
        raise damage
    if begun:
        raise _damaged(compression, EOFError("the last frame has no end"))


def _refuse_other(file: BinaryIO, compression: str) -> None:
    """Raise Unreadable for a file that its name is wrong about; an empty one is merely empty."""
    first = file.read(4)
    file.seek(0)
    if first and not _FIRST_BYTES[compression].match(first):
        raise Unreadable(
            f"this is no {_NAMES[compression]} file, though its name ends in .{compression}",
            f"rename it without .{compression} if it is plain text, or download it again",
        )


def _damaged(compression: str, error: Exception) -> Damaged:
    return Damaged(
        f"the {_NAMES[compression]} data is damaged or cut off: {error}",
        "download or copy the file again",
    )


def _bomb() -> Unreadable:
    return Unreadable(
        f"the file expands to more than {_LARGEST_RATIO} times its size, which text does not",
        "if it is what you meant to have, decompress it first; reading stopped here",
    )
