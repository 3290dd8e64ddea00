"""Bytes in whatever encoding as UTF-8, and what speaks for that encoding."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from create_llm_text.rows import Unreadable

# What the encoding is judged by: the file's beginning for UTF-16 and for binary data, and as much
# from its first byte that is not ASCII on for the choice between UTF-8 and Windows-1252.
_WINDOW = 1 << 15

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_NAMES = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16 (little-endian)",
    "utf-16-be": "UTF-16 (big-endian)",
    "cp1252": "Windows-1252",
}
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # in Windows-1252
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
# Random bytes are a tenth control characters, text is none; a few stray ones make no binary file.
_BINARY_SHARE, _BINARY_LEAST = 0.05, 8
_MAGIC = {
    b"%PDF-": ("a PDF", "extract its text: pdftotext FILE.pdf"),
    b"PK\x03\x04": ("a ZIP archive (.docx, .epub and .xlsx are ones too)", "unpack or export it"),
    b"\xd0\xcf\x11\xe0": ("an old Office document", "save it as plain text"),
    b"\x89PNG": ("a picture", "move it out of the folder"),
    b"\xff\xd8\xff": ("a picture", "move it out of the folder"),
    b"GIF8": ("a picture", "move it out of the folder"),
    b"\x7fELF": ("a program", "move it out of the folder"),
    b"SQLite format 3\0": ("a database", "export the table to .csv"),
    b"PAR1": ("a Parquet file", "rename it to .parquet"),
    b"\x1f\x8b": ("compressed with gzip", "rename it to end in .gz"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstandard", "rename it to end in .zst"),
    b"\xfd7zXZ": ("compressed with xz", "decompress it: unxz FILE"),
    b"BZh91AY": ("compressed with bzip2", "decompress it: bunzip2 FILE"),
}


class Utf8:
    """The content of a file as UTF-8, in chunks; to be iterated once.

    UTF-16 is known by its byte-order mark or by every other byte being NUL. Otherwise everything
    is UTF-8 until the first byte that is not ASCII: from there on 32 KB decide between UTF-8 and
    Windows-1252, which agree on all that came before. So nothing is read twice. Bytes that the
    encoding does not define are passed on as they are, invalid in UTF-8, for whoever knows the
    line to report.

    Attributes:
        encoding: as it is known so far.
        decided: whether there was anything to know it by.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.encoding = "utf-8"
        self.decided = False
        self._reason = "nothing but ASCII was seen"

    @property
    def evidence(self) -> str:
        """The encoding and what speaks for it, in words."""
        return f"{_NAMES[self.encoding]}: {self._reason}"

    def __iter__(self) -> Iterator[bytes]:
        """The chunks.

        Raises:
            Unreadable: the file is not text.
        """
        head = _take(self._chunks, b"", _WINDOW)
        _refuse_binary(head)
        rest = chain([head], self._chunks)
        if head.startswith(_UTF8_BOM):
            self._decide("utf-8", "the file begins with its byte-order mark")
            return chain([head.removeprefix(_UTF8_BOM)], self._chunks)
        if head[:2] in _UTF16_BOMS:
            self._decide(_UTF16_BOMS[head[:2]], "the file begins with its byte-order mark")
            return _from_utf16(chain([head[2:]], self._chunks), self.encoding)
        utf16 = _utf16_pattern(head)
        if utf16 is not None:
            self._decide(utf16, "every other byte is NUL, as in Latin letters")
            return _from_utf16(rest, utf16)
        _refuse_control(head)
        return self._ascii_then(rest)

    def _decide(self, encoding: str, reason: str) -> None:
        self.encoding, self._reason, self.decided = encoding, reason, True

    def _ascii_then(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        line = 1
        for chunk in chunks:
            if not chunk.isascii():
                first = _first_not_ascii(chunk)
                window = _take(chunks, chunk, first + _WINDOW)
                self._choose(window, first, line)
                rest = chain([window], chunks)
                yield from _from_windows_1252(rest) if self.encoding == "cp1252" else rest
                return
            line += chunk.count(b"\n")
            yield chunk

    def _choose(self, window: bytes, first: int, line: int) -> None:
        contradiction = _contradiction(window, whole=len(window) < first + _WINDOW)
        if contradiction is None:
            line += window.count(b"\n", 0, first)
            reason = f"the bytes that are not ASCII, from line {line} on, fit it"
            return self._decide("utf-8", reason)
        line += window.count(b"\n", 0, contradiction)
        what = f"byte 0x{window[contradiction]:02x} in line {line} is not UTF-8"
        if not _is_windows_1252(window):
            return self._decide("utf-8", f"most bytes that are not ASCII fit it, but {what}")
        return self._decide("cp1252", f"{what}; it and the others are letters of Windows-1252")


def _take(chunks: Iterator[bytes], begun: bytes, size: int) -> bytes:
    """What was begun and as many of the chunks as make up `size` bytes."""
    taken, length = [begun], len(begun)
    while length < size and (chunk := next(chunks, None)) is not None:
        taken.append(chunk)
        length += len(chunk)
    return b"".join(taken)


def _first_not_ascii(window: bytes) -> int:
    found = _NOT_ASCII.search(window)
    return found.start() if found else len(window)


def _contradiction(window: bytes, *, whole: bool) -> int | None:
    """Where the window is not UTF-8; a character that its end cuts in two is no contradiction.

    Args:
        whole: whether the file ends with the window.
    """
    try:
        codecs.getincrementaldecoder("utf-8")().decode(window)
    except UnicodeDecodeError as error:
        return error.start
    cut = re.search(rb"[\xc2-\xf4]\Z", window)
    # One byte at the very end of a file is a letter of Windows-1252 ("café"), rather than the first
    # of a character that was cut off.
    return cut.start() if cut and whole else None


def _is_windows_1252(window: bytes) -> bool:
    """Whether a window that is not all UTF-8 is rather Windows-1252 than damaged UTF-8."""
    window, surrogates = _SURROGATE.subn(b"", window)
    characters = window.decode("utf-8", "replace")
    wrong = characters.count("\ufffd")
    right = surrogates + sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", characters)))
    letters = len(_NOT_ASCII.findall(window))
    undefined = len(_UNDEFINED.findall(window))
    return wrong > right and undefined * 100 <= letters


def _from_windows_1252(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk.decode("cp1252", "surrogateescape").encode("utf-8", "surrogateescape")


def _from_utf16(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    # Lone surrogates go on as the bytes they would have, which are not valid.
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        yield b"\xff"  # half a character at the end


def _utf16_pattern(head: bytes) -> str | None:
    """UTF-16 without a mark: Latin text has NUL as nearly every second byte, hardly elsewhere."""
    pairs = len(head) // 2
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if pairs >= 2 and odd * 10 >= pairs * 7 and even * 5 <= odd:
        return "utf-16-le"
    is_big_endian = pairs >= 2 and even * 10 >= pairs * 7 and odd * 5 <= even
    return "utf-16-be" if is_big_endian else None


def _refuse_binary(head: bytes) -> None:
    for magic, (kind, fix) in _MAGIC.items():
        if head.startswith(magic):
            raise Unreadable(f"the file is {kind}, not text", fix)


def _refuse_control(head: bytes) -> None:
    found = len(_CONTROL.findall(head))
    if found >= max(_BINARY_LEAST, len(head) * _BINARY_SHARE):
        raise Unreadable(
            f"the file is binary, not text: {found:,} of its first {len(head):,} bytes are "
            "control characters",
            "if it is text in an unusual encoding, convert it to UTF-8; else move it away",
        )
