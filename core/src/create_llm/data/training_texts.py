"""The text that a tokenizer learns from: of a large corpus a sample."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from create_llm.data.duplicates import Seen
from create_llm.data.source import DataSource, documents_of
from create_llm.data.split import is_validation, utf8_size, working_fraction

SAMPLE_BYTES = 256_000_000
"""More text makes a vocabulary hardly better, and takes time and memory in proportion."""

# Says which documents are in the sample: another hash than the one that splits.
_SEED = b"tokenizer sample"


def training_texts(
    source: DataSource,
    *,
    val_split: float,
    val_source: DataSource | None = None,
    deduplicate: bool = False,
) -> Iterator[str]:
    """The texts of the training side alone, for what learns from text before the model does.

    Of a corpus larger than `SAMPLE_BYTES` about as much: documents chosen by a hash of their
    text, so that they are the same ones each time. Of a source that does not know its size, the
    first ones.

    Args:
        deduplicate: only the first of equal documents.

    Raises:
        DataError: too little text to divide.
    """
    texts = _training_side(source, val_split, val_source)
    if deduplicate:
        seen = Seen()
        texts = (text for text in texts if not seen.again(text))
    total = source.total_bytes()
    if total is None:
        return _first(texts, SAMPLE_BYTES)
    if not is_sampled(source):
        return texts
    share = SAMPLE_BYTES / total
    return (text for text in texts if _position(text) < share)


def is_sampled(source: DataSource) -> bool:
    """Whether `training_texts` are a sample of the text, as far as its size is known."""
    total = source.total_bytes()
    return total is not None and total > SAMPLE_BYTES


def _training_side(
    source: DataSource, val_split: float, val_source: DataSource | None
) -> Iterator[str]:
    fraction = 0.0
    if val_source is None:
        texts = (document.text for document in documents_of(source))
        fraction = working_fraction(texts, val_split)
    for document in documents_of(source):
        if not is_validation(document.text, fraction):
            yield document.text


def _first(texts: Iterable[str], most: int) -> Iterator[str]:
    size = 0
    for text in texts:
        yield text
        size += utf8_size(text)
        if size >= most:
            return


def _position(text: str) -> float:
    """Where a document stands between 0 and 1 in the order of sampling."""
    data = text.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(data, digest_size=8, key=_SEED).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
