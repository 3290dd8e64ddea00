"""How long documents are: a histogram whose bins double in width."""

from __future__ import annotations

from dataclasses import dataclass

from create_llm.data.documents import Document
from create_llm.data.encoding import DocumentEncoder
from create_llm.data.split import utf8_size

# Encoding is far slower than reading: a fair sample of this size takes seconds, and says the same.
_ENCODED_BYTES = 16_000_000
_BATCH_DOCUMENTS = 256
_BATCH_BYTES = 1_000_000
# White space divides hardly anything where words are longer than this: Chinese, Japanese, Thai.
_LONGEST_MEAN_WORD = 20


@dataclass(frozen=True, slots=True)
class Bin:
    """How many lengths there are from `low` to `high`, both included."""

    low: int
    high: int
    count: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths of documents.

    Attributes:
        unit: what they are counted in: "tokens", "words" or "characters".
        documents: how many were measured.
        sampled: whether these are a fair sample of all.
        bins: from the shortest to the longest, without gaps.
    """

    unit: str
    documents: int
    sampled: bool
    mean: float
    longest: int
    bins: tuple[Bin, ...]


class LengthCounter:
    """Counts lengths in bins 0, 1, 2–3, 4–7, 8–15 …"""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.total = self.documents = self.longest = 0

    def add(self, length: int) -> None:
        power = length.bit_length()
        self._counts[power] = self._counts.get(power, 0) + 1
        self.total += length
        self.documents += 1
        self.longest = max(self.longest, length)

    def summary(self, unit: str, *, sampled: bool) -> Lengths:
        mean = self.total / max(self.documents, 1)
        return Lengths(unit, self.documents, sampled, round(mean, 1), self.longest, self._bins())

    def _bins(self) -> tuple[Bin, ...]:
        if not self._counts:
            return ()
        powers = range(min(self._counts), max(self._counts) + 1)
        return tuple(Bin(*_bounds(power), self._counts.get(power, 0)) for power in powers)


class LengthMeter:
    """Measures documents: in tokens where there is an encoder, else in words.

    Where hardly any white space divides the words, in characters.

    Args:
        total: UTF-8 bytes to expect, if that is known.
    """

    def __init__(self, encoder: DocumentEncoder | None, total: int | None) -> None:
        self._encoder = encoder
        self._share = min(_ENCODED_BYTES / max(total or 1, 1), 1.0)
        self._tokens, self._words, self._characters = (LengthCounter() for _ in range(3))
        self._waiting: list[Document] = []
        self._waiting_bytes = 0

    def add(self, document: Document, position: float) -> None:
        """
        Args:
            position: of the document in the split.
        """
        if self._encoder is None:
            self._words.add(len(document.text.split()))
            self._characters.add(len(document.text))
        elif _spread(position) < self._share:
            self._waiting.append(document)
            self._waiting_bytes += utf8_size(document.text)
            if len(self._waiting) >= _BATCH_DOCUMENTS or self._waiting_bytes >= _BATCH_BYTES:
                self._encode(self._encoder)

    def summary(self) -> Lengths:
        if self._encoder is not None:
            self._encode(self._encoder)
            return self._tokens.summary("tokens", sampled=self._share < 1.0)
        if self._characters.total > _LONGEST_MEAN_WORD * self._words.total:
            return self._characters.summary("characters", sampled=False)
        return self._words.summary("words", sampled=False)

    def _encode(self, encoder: DocumentEncoder) -> None:
        for made in encoder.encode(self._waiting):
            self._tokens.add(len(made.ids))
        self._waiting, self._waiting_bytes = [], 0


def _spread(position: float) -> float:
    """Another uniform number of the same document, which its side of the split does not decide."""
    return position * (1 << 20) % 1.0


def _bounds(power: int) -> tuple[int, int]:
    return (1 << power - 1, (1 << power) - 1) if power else (0, 0)
