"""Documents to tokens: what a document is in the stream that a model learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from create_llm.data.chat.encoding import ChatEncoder, EncodedChat
from create_llm.data.chat.template import PLAIN, ChatTemplate, chat_template
from create_llm.data.documents import Document, Segment
from create_llm.data.split import utf8_size
from create_llm.data.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class EncodedDocument:
    """A document's tokens, without the end-of-text tokens around it.

    Attributes:
        counted: of each token, whether predicting it counts in the loss; None where all do.
        bytes: UTF-8 bytes of the text that counts.
    """

    ids: list[int]
    counted: list[bool] | None
    bytes: int


class DocumentEncoder:
    """Encodes documents; many at once keep all cores of a tokenizer busy."""

    def __init__(self, tokenizer: Tokenizer, template: ChatTemplate | None = None) -> None:
        """
        Args:
            template: how conversations are written out; None: as a plain script.

        Raises:
            ConfigError: the tokenizer lacks control tokens of the template.
        """
        self._tokenizer, self._eos = tokenizer, tokenizer.special.eos
        self._chats = ChatEncoder(tokenizer, template or chat_template(PLAIN))

    def encode(self, documents: Sequence[Document]) -> list[EncodedDocument]:
        """
        Raises:
            DataError: the template refuses a conversation; says where that came from.
        """
        conversations = [document for document in documents if is_conversation(document)]
        chats = iter(self._chats.encode(conversations))
        others = iter(self._plain([d for d in documents if not is_conversation(d)]))
        return [
            self._of_chat(document, next(chats)) if is_conversation(document) else next(others)
            for document in documents
        ]

    def _plain(self, documents: Sequence[Document]) -> list[EncodedDocument]:
        texts = [segment.text for document in documents for segment in document.segments]
        pieces = iter(self._tokenizer.encode_batch(texts))
        return [
            _joined(document.segments, [next(pieces) for _ in document.segments])
            for document in documents
        ]

    def _of_chat(self, document: Document, chat: EncodedChat) -> EncodedDocument:
        """Without the end-of-text token at the end, where the template writes one."""
        stop = len(chat.ids) - (chat.ids[-1:] == [self._eos])
        size = _counted_bytes(document.segments)
        return EncodedDocument(chat.ids[:stop], chat.counted[:stop], size)


def is_conversation(document: Document) -> bool:
    """Whether a document is written out by a chat template."""
    return all(segment.role != "text" for segment in document.segments)


def _joined(segments: Sequence[Segment], pieces: Sequence[list[int]]) -> EncodedDocument:
    ids = pieces[0] if len(pieces) == 1 else list(chain.from_iterable(pieces))
    size = _counted_bytes(segments)
    if all(segment.loss for segment in segments):
        return EncodedDocument(ids, None, size)
    counted = [segment.loss for segment, piece in zip(segments, pieces, strict=True) for _ in piece]
    return EncodedDocument(ids, counted, size)


def _counted_bytes(segments: Sequence[Segment]) -> int:
    return sum(utf8_size(segment.text) for segment in segments if segment.loss)
