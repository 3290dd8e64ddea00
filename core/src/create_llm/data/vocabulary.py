"""How well a vocabulary suits a text: what `llm tokenizer train` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import PurePosixPath
from typing import Self

from create_llm.data.chat.template import ChatTemplate
from create_llm.data.corpus import Corpus
from create_llm.data.documents import Document
from create_llm.data.source import documents_of
from create_llm.data.split import split_position, utf8_size
from create_llm.data.tokenizer import Tokenizer
from create_llm.data.training_texts import ModelTexts

MEASURED_BYTES = 2_000_000
"""How much of each side is encoded, about; more changes the third digit."""

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Fit:
    """How a tokenizer divides some text.

    Attributes:
        name: the file or folder that the text is from; "" for all of it.
        bytes: in UTF-8.
        words: what stands between blanks; few in scripts that write none.
        unknown: tokens that stand for what the vocabulary lacks.
    """

    name: str = ""
    bytes: int = 0
    words: int = 0
    tokens: int = 0
    unknown: int = 0

    @property
    def bytes_per_token(self) -> float | None:
        """None where there is no text."""
        return round(self.bytes / self.tokens, 3) if self.tokens else None

    @property
    def tokens_per_word(self) -> float | None:
        return round(self.tokens / self.words, 3) if self.words else None

    @property
    def unknown_rate(self) -> float:
        return self.unknown / max(self.tokens, 1)

    def plus(self, other: Fit) -> Fit:
        return Fit(
            self.name,
            self.bytes + other.bytes,
            self.words + other.words,
            self.tokens + other.tokens,
            self.unknown + other.unknown,
        )


@dataclass(frozen=True, slots=True)
class VocabularyFit:
    """What was measured on both sides of a corpus, or on an even part where it is large.

    Attributes:
        groups: the training side by file or, where they lie in several folders, by folder; empty
            where there is only one.
        uses: of each id, how often it occurs on the training side.
    """

    train: Fit
    val: Fit
    groups: tuple[Fit, ...]
    uses: Mapping[int, int]

    @classmethod
    def of(
        cls,
        tokenizer: Tokenizer,
        corpus: Corpus,
        sample_bytes: int = MEASURED_BYTES,
        template: ChatTemplate | None = None,
    ) -> Self:
        """Encode about `sample_bytes` of each side.

        Args:
            template: how conversations are written out; None: as a plain script.

        Raises:
            DataError: the text cannot be read.
        """
        texts = ModelTexts(template, list(tokenizer.special.named))
        measured = {kept_back: _Measured(tokenizer, texts) for kept_back in (True, False)}
        sample = iter(_sampled(corpus, sample_bytes))
        while batch := list(islice(sample, _BATCH)):
            for in_validation, side in measured.items():
                side.add([document for kept_back, document in batch if kept_back == in_validation])
        train, val = measured[False], measured[True]
        return cls(_total(train.files), _total(val.files), _grouped(train.files), train.uses)


class _Measured:
    """What is known so far of one side, by file."""

    def __init__(self, tokenizer: Tokenizer, texts: ModelTexts) -> None:
        self._tokenizer, self._texts = tokenizer, texts
        self.files: dict[str, Fit] = {}
        self.uses: Counter[int] = Counter()

    def add(self, documents: list[Document]) -> None:
        pairs = [(each.origin.path, text) for each in documents for text in self._texts.of(each)]
        unknown = self._tokenizer.special.unk
        encoded = self._tokenizer.encode_batch([text for _, text in pairs])
        for (path, text), ids in zip(pairs, encoded, strict=True):
            missed = 0 if unknown is None else ids.count(unknown)
            fit = Fit(path, utf8_size(text), len(text.split()), len(ids), missed)
            self.files[path] = self.files.get(path, Fit(path)).plus(fit)
            self.uses.update(ids)


def _sampled(corpus: Corpus, most: int) -> Iterator[tuple[bool, Document]]:
    """Documents, and whether each is for validation.

    Chosen by the place that the split gives them, which is even on both sides. Of a source that
    does not know its size, the first ones.
    """
    split = corpus.fraction()
    for side in corpus.sides():
        total = side.source.total_bytes()
        documents = documents_of(side.source)
        fraction = split if side.use == "split" else 0.0
        for document in _first(documents, most) if total is None else documents:
            place = split_position(document.text)
            kept_back = side.use == "val" or place < fraction
            start, end = _bounds(kept_back, fraction)
            share = 1.0 if total is None else most / max(total * (end - start), 1.0)
            if place < start + (end - start) * share:
                yield kept_back, document


def _bounds(kept_back: bool, fraction: float) -> tuple[float, float]:
    """Between which places the documents of a side are; a separate validation has all."""
    if not kept_back:
        return fraction, 1.0
    return 0.0, fraction or 1.0


def _first(documents: Iterable[Document], most: int) -> Iterator[Document]:
    size = 0
    for document in documents:
        yield document
        size += utf8_size(document.text)
        if size >= most:
            return


def _total(files: Mapping[str, Fit]) -> Fit:
    total = Fit()
    for fit in files.values():
        total = total.plus(fit)
    return total


def _grouped(files: Mapping[str, Fit]) -> tuple[Fit, ...]:
    parts = {path: PurePosixPath(path).parts or (path,) for path in files}
    levels = zip(*(found[:-1] for found in parts.values()), strict=False)
    depth = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    groups: dict[str, Fit] = {}
    for path, fit in files.items():
        name = parts[path][depth]
        groups[name] = groups.get(name, Fit(name)).plus(fit)
    return tuple(groups.values()) if len(groups) > 1 else ()
