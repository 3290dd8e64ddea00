"""Passages of somebody's text, to ask questions about, and the order in which they are taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from create_llm.data.documents import Document, Origin

LONGEST = 2_000
"""Characters, about 500 tokens: enough for several questions, and room left in any service."""
SHORTEST = 40
"""Characters: what is shorter is a heading, and there is nothing to ask about it."""

_PARAGRAPHS = re.compile(r"\n\s*\n")
_SENTENCES = re.compile(r"(?<=[.!?…])\s+")


@dataclass(frozen=True, slots=True)
class Passage:
    """Paragraphs that stand together. The line of `origin` is where their document begins."""

    text: str
    origin: Origin
    number: int

    @property
    def key(self) -> str:
        """Says which passage it is among those of its documents."""
        return f"{self.origin}#{self.number}"


def passages(documents: Iterable[Document]) -> Iterator[Passage]:
    """Each document in pieces of at most `LONGEST` characters, cut between paragraphs where it can
    be, else between sentences, else between words."""
    for document in documents:
        pieces = (piece for piece in _packed(document.text) if len(piece) >= SHORTEST)
        for number, piece in enumerate(pieces):
            yield Passage(piece, document.origin, number)


def visits(source: Callable[[], Iterator[Passage]], step: int, start: int) -> Iterator[Passage]:
    """Passages without end: each `step`-th, then those beside them, then the next, so that few of
    many come from all over the text. Reads the text once for each turn and keeps none of it.

    Args:
        start: another number begins beside where others began.
    """
    for turn in count(start):
        for place, passage in enumerate(source()):
            if place % step == turn % step:
                yield passage


def _packed(text: str) -> Iterator[str]:
    piece = ""
    for part in _parts(text.strip()):
        joined = f"{piece}\n\n{part}" if piece else part
        if len(joined) > LONGEST:
            yield piece
            joined = part
        piece = joined
    yield piece


def _parts(text: str) -> Iterator[str]:
    for paragraph in _PARAGRAPHS.split(text):
        if len(paragraph) <= LONGEST:
            yield paragraph
        else:
            yield from _cut(paragraph)


def _cut(paragraph: str) -> Iterator[str]:
    piece = ""
    for sentence in _SENTENCES.split(paragraph):
        while len(sentence) > LONGEST:
            end = sentence.rfind(" ", LONGEST // 2, LONGEST)
            end = end if end > 0 else LONGEST
            yield from (each for each in (piece, sentence[:end]) if each)
            piece, sentence = "", sentence[end:].lstrip()
        joined = f"{piece} {sentence}" if piece else sentence
        if len(joined) > LONGEST:
            yield piece
            joined = sentence
        piece = joined
    yield piece
