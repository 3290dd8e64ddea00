"""Documents to tokens: what a document is in the stream that a model learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from create_llm.data.documents import Document
from create_llm.data.split import utf8_size
from create_llm.data.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class EncodedDocument:
    """A document's tokens, without the end-of-text tokens around it.

    Attributes:
        counted: of each token, whether predicting it counts in the loss.
        bytes: UTF-8 bytes of the text that counts.
    """

    ids: list[int]
    counted: list[bool]
    bytes: int


class DocumentEncoder:
    """Encodes documents; many at once keep all cores of a tokenizer busy."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, documents: Sequence[Document]) -> list[EncodedDocument]:
        texts = [segment.text for document in documents for segment in document.segments]
        pieces = iter(self._tokenizer.encode_batch(texts))
        return [
            self._joined(document, [next(pieces) for _ in document.segments])
            for document in documents
        ]

    def _joined(self, document: Document, pieces: Sequence[Sequence[int]]) -> EncodedDocument:
        ids: list[int] = []
        counted: list[bool] = []
        for segment, piece in zip(document.segments, pieces, strict=True):
            ids.extend(piece)
            counted.extend([segment.loss] * len(piece))
        size = sum(utf8_size(segment.text) for segment in document.segments if segment.loss)
        return EncodedDocument(ids, counted, size)
