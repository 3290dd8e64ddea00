"""The text that a tokenizer learns from: of a large corpus a sample."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from create_llm.data.chat.rendering import Renderer
from create_llm.data.chat.template import PLAIN, ChatTemplate, chat_template
from create_llm.data.control_tokens import DEFAULT_SPECIAL_TOKENS, kinds_by_place
from create_llm.data.corpus import sides_of, split_fraction
from create_llm.data.documents import Document
from create_llm.data.duplicates import Seen
from create_llm.data.encoding import is_conversation
from create_llm.data.source import DataSource, documents_of
from create_llm.data.split import is_validation, utf8_size
from create_llm.errors import DataError

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
    template: ChatTemplate | None = None,
    control_tokens: Sequence[str] = (),
) -> Iterator[str]:
    """The texts of the training side alone, for what learns from text before the model does.

    Conversations are written out as the model will see them, without the control tokens.

    Of a corpus larger than `SAMPLE_BYTES` about as much: documents chosen by a hash of their
    text, so that they are the same ones each time. Of a source that does not know its size, the
    first ones.

    Args:
        deduplicate: only the first of equal documents.
        template: how conversations are written out; None: as a plain script.
        control_tokens: spellings that the tokenizer will have beside its own.

    Raises:
        DataError: too little text to divide, or a conversation that the template refuses.
    """
    documents = _training_side(source, val_split, val_source)
    if deduplicate:
        seen = Seen()
        documents = (each for each in documents if not seen.again(each.text))
    total = source.total_bytes()
    if total is None:
        documents = _first(documents, SAMPLE_BYTES)
    elif is_sampled(source):
        share = SAMPLE_BYTES / total
        documents = (each for each in documents if _position(each.text) < share)
    texts = ModelTexts(template, control_tokens)
    return (text for document in documents for text in texts.of(document))


class ModelTexts:
    """What a tokenizer has to divide of a document: all that the model sees but control tokens."""

    def __init__(self, template: ChatTemplate | None, control_tokens: Sequence[str]) -> None:
        """
        Args:
            template: how conversations are written out; None: as a plain script.
            control_tokens: spellings of those that the tokenizer has beside the template's.
        """
        template = template or chat_template(PLAIN)
        # Those of the kinds stand in for the tokenizer's own, whatever their spelling: they end a
        # text, and go.
        kinds = kinds_by_place(DEFAULT_SPECIAL_TOKENS)
        variables = {f"{kind}_token": name for kind, name in kinds.items()}
        names = dict.fromkeys((*control_tokens, *template.control_tokens, *kinds.values()))
        self._renderer = Renderer(template, list(names), variables)

    def of(self, document: Document) -> list[str]:
        """The texts, each of which is encoded by itself.

        Raises:
            DataError: the template refuses a conversation; says where that came from.
        """
        if not is_conversation(document):
            return [segment.text for segment in document.segments]
        try:
            pieces = self._renderer.pieces(document.segments)
        except DataError as error:
            raise DataError(error.what, where=str(document.origin), fixes=error.fixes) from error
        stretches = groupby(pieces, lambda piece: piece.control)
        joined = (
            "".join(each.text for each in group) for is_token, group in stretches if not is_token
        )
        return [text for text in joined if text]


def is_sampled(source: DataSource) -> bool:
    """Whether `training_texts` are a sample of the text, as far as its size is known."""
    total = source.total_bytes()
    return total is not None and total > SAMPLE_BYTES


def _training_side(
    source: DataSource, val_split: float, val_source: DataSource | None
) -> Iterator[Document]:
    sides = list(sides_of(source, val_source))
    split = split_fraction(sides, val_split)
    for side in sides:
        if side.use == "val":
            continue
        fraction = side.fraction(split)
        for document in documents_of(side.source):
            if not is_validation(document.text, fraction):
                yield document


def _first(documents: Iterable[Document], most: int) -> Iterator[Document]:
    size = 0
    for document in documents:
        yield document
        size += utf8_size(document.text)
        if size >= most:
            return


def _position(text: str) -> float:
    """Where a document stands between 0 and 1 in the order of sampling."""
    data = text.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(data, digest_size=8, key=_SEED).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
