"""Which side of the train/validation split a document is on: a hash of its text decides.

The split is made on documents, before anything is packed, so that no window straddles it; equal
documents are always on the same side; and adding documents moves none of the others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

from create_llm.errors import DataError

# Recorded with what was split by it; another rule needs another name.
SPLIT_RULE = "blake2b-8(text) / 2^64 < fraction"

MIN_BYTES = 100
MORE_TEXT = (
    "add text: copy .txt files into data/raw",
    "see the whole journey on a built-in corpus: llm quickstart",
)


def utf8_size(text: str) -> int:
    """UTF-8 bytes of a text; a lone surrogate, which UTF-8 has no form for, counts three."""
    return len(text.encode("utf-8", "surrogatepass"))


def split_position(text: str) -> float:
    """Where a document stands between 0 and 1: uniform, and the same everywhere and always."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    # The upper 53 bits, which a float holds exactly.
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def is_validation(text: str, fraction: float) -> bool:
    """Whether a document is kept for validation when `fraction` of them are."""
    return split_position(text) < fraction


def working_fraction(texts: Iterable[str], fraction: float) -> float:
    """The fraction to split by so that neither side is empty: `fraction`, nearly always.

    Reads no further than the first document of each side. Where all documents are on one side,
    the one nearest the threshold (and its equals) goes over: the threshold moves just past it.

    Raises:
        DataError: fewer than two different documents.
    """
    lowest, highest, size = math.inf, -math.inf, 0
    for text in texts:
        position = split_position(text)
        lowest, highest = min(lowest, position), max(highest, position)
        if lowest < fraction <= highest:
            return fraction
        size += utf8_size(text)
    if size < MIN_BYTES:
        raise too_little(size)
    if not lowest < highest:
        raise DataError(
            f"all {size} bytes of text are one document, or copies of one: training and "
            "validation need a different document each",
            fixes=(*MORE_TEXT, "or name a validation file of your own: data.val_path"),
        )
    return math.nextafter(lowest, 1.0) if lowest >= fraction else highest


def refuse_too_little(texts: Iterable[str]) -> None:
    """Read on until there is enough text to begin with.

    Raises:
        DataError: there is not.
    """
    size = 0
    for text in texts:
        size += utf8_size(text)
        if size >= MIN_BYTES:
            return
    raise too_little(size)


def too_little(size: int) -> DataError:
    """The error for a corpus that nothing can be learnt from."""
    return DataError(
        f"the data holds only {size} bytes of text; at least {MIN_BYTES} are needed, "
        "and a model worth talking to needs a megabyte or more",
        fixes=MORE_TEXT,
    )
