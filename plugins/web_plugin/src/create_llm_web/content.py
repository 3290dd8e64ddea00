"""Whether what a server sends is text, and what the file with it is called."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from create_llm.errors import DataError

_DATA = (".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
_PACKED = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
_BY_TYPE = {
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/x-jsonlines": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
}
_NAMED = {
    b"%PDF-": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an office document",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"7z\xbc\xaf": "a 7z archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
}
_MEDIA = ("image/", "audio/", "video/", "font/", "application/pdf", "application/zip")
_PAGE = ("text/html", "application/xhtml+xml")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NO_LETTER = re.compile(r"[^A-Za-z0-9._-]+")


def media_type(header: str | None) -> str:
    """The type in a Content-Type header, without its parameters."""
    return (header or "").partition(";")[0].strip().lower()


def check_type(shown: str, kind: str) -> None:
    """Refuse what the server itself says is no text.

    Raises:
        DataError: a web page, an image, a document.
    """
    if kind in _PAGE:
        raise _page(shown)
    if kind.startswith(_MEDIA):
        raise _no_text(shown, f"'{kind}'")


def check_head(shown: str, kind: str, head: bytes) -> None:
    """Refuse what is no text by its first bytes, whatever it is called.

    Raises:
        DataError: a web page that is not declared as text, or a binary file.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:20].lower()
    if start.startswith((b"<!doctype html", b"<html")) and not kind.startswith("text/"):
        raise _page(shown)
    for magic, what in _NAMED.items():
        if head.startswith(magic):
            raise _no_text(shown, what)
    readable = head.startswith((*_UTF16, *_PACKED, b"PAR1"))
    if b"\0" in head and not readable:
        raise _no_text(shown, "a binary file")


def file_name(url: str, kind: str, head: bytes) -> str:
    """A plain name for the file, whose ending says how it is to be read.

    The ending is the address's own where it is known; otherwise it follows from what the server
    and the first bytes say.
    """
    last = unquote(urlsplit(url).path.rpartition("/")[2])
    name = _NO_LETTER.sub("_", last).lstrip("._-")[-80:].lstrip("._-") or "text"
    packed = next((end for magic, end in _PACKED.items() if head.startswith(magic)), "")
    inner = name.removesuffix(packed) if packed else name
    if not inner.lower().endswith(_DATA):
        inner += ".parquet" if head.startswith(b"PAR1") else _BY_TYPE.get(kind, ".txt")
    return inner + packed


def _page(shown: str) -> DataError:
    return DataError(
        "this address is a web page (HTML), not a text file",
        where=shown,
        fixes=(
            "open it in a browser and copy the address of the text itself: "
            "'Raw', 'Plain text' or 'Download'",
            "or save the text from there into data/raw",
        ),
    )


def _no_text(shown: str, what: str) -> DataError:
    return DataError(
        f"this address is no text: the server sends {what}",
        where=shown,
        fixes=(
            "use the address of a plain text, CSV, JSON or JSON Lines file",
            "or download it, extract its text, and put that into data/raw",
        ),
    )
