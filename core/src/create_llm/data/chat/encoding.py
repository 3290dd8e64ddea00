"""Conversations to tokens: written out by a template, with the mask of what is trained on.

The ids are those of Hugging Face's `apply_chat_template(tokenize=True)`, with one difference:
what a message says never becomes a control token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, dropwhile, groupby, takewhile

from create_llm.data.chat.rendering import Piece, Renderer, common_prefix
from create_llm.data.chat.template import ChatTemplate
from create_llm.data.documents import Document, Segment
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import ConfigError, DataError, did_you_mean

ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class EncodedChat:
    """A conversation's tokens.

    Attributes:
        counted: of each token, whether predicting it counts in the loss.
    """

    ids: list[int]
    counted: list[bool]


@dataclass(frozen=True, slots=True)
class _Span:
    """Text that counts or not; a control token where `token` says which."""

    text: str
    counted: bool
    token: int | None


_Stretch = Sequence[_Span]
"""One control token, or all text between two of them: what is encoded at once."""


@dataclass(frozen=True, slots=True)
class EndOfTurn:
    """What stands behind an answer: a control token, or else text; neither where a template has
    nothing there but white space."""

    token: int | None = None
    text: str = ""


class ChatEncoder:
    """Encodes conversations by one template.

    What lies between two control tokens is encoded as one text, as if it had been written by
    hand: a token may straddle the border between the template's text and a message's, and then
    counts as what it ends with. A turn that counts ends with the control token behind it, which
    counts with it.
    """

    def __init__(self, tokenizer: Tokenizer, template: ChatTemplate) -> None:
        """
        Raises:
            ConfigError: the tokenizer lacks control tokens of the template.
        """
        self._tokenizer, self._named = tokenizer, tokenizer.special.named
        _check_control_tokens(template, self._named)
        self._renderer = Renderer(template, list(self._named), variables_of(tokenizer))

    def encode(self, documents: Sequence[Document]) -> list[EncodedChat]:
        """Ids and loss mask of each conversation.

        Raises:
            DataError: the template refuses one, or a role is unknown; says where it came from.
        """
        return self._encoded([self._of_document(document) for document in documents])

    def render_prompt(self, messages: Sequence[Segment]) -> list[int]:
        """Ids of a conversation up to where the model's answer begins.

        Raises:
            DataError: the template refuses it, or a role is unknown.
        """
        return self._encoded([self._stretches(messages, prompt=True)])[0].ids

    def end_of_turn(self) -> EndOfTurn:
        """What stands between an answer and the next message.

        Raises:
            DataError: the template refuses the simplest conversation.
        """
        exchange = [Segment("user", "a"), Segment("assistant", "b"), Segment("user", "c")]
        pieces = iter(self._renderer.pieces(exchange))
        after_answer = dropwhile(lambda piece: piece.message != 1, pieces)
        next(after_answer, None)
        behind = list(takewhile(lambda piece: piece.message is None, after_answer))
        token = next((self._named[piece.text] for piece in behind if piece.control), None)
        if token is not None:
            return EndOfTurn(token)
        return EndOfTurn(text="".join(piece.text for piece in behind).rstrip())

    def _of_document(self, document: Document) -> list[_Stretch]:
        try:
            return self._stretches(document.segments)
        except DataError as error:
            raise DataError(error.what, where=str(document.origin), fixes=error.fixes) from error

    def _stretches(self, messages: Sequence[Segment], *, prompt: bool = False) -> list[_Stretch]:
        for message in messages:
            _check_role(message.role)
        pieces = self._renderer.pieces(messages, prompt=prompt)
        spans = enumerate(self._spans(pieces, [message.loss for message in messages]))
        groups = groupby(spans, lambda item: -1 if item[1].token is None else item[0])
        return [[span for _, span in group] for _, group in groups]

    def _spans(self, pieces: Sequence[Piece], loss: Sequence[bool]) -> Iterator[_Span]:
        open_turn = False
        for piece in pieces:
            if piece.message is not None:
                counted = open_turn = loss[piece.message]
            else:
                counted = open_turn and (piece.control or piece.text.isspace())
                open_turn = counted and not piece.control
            yield _Span(piece.text, counted, self._named[piece.text] if piece.control else None)

    def _encoded(self, chats: Sequence[Sequence[_Stretch]]) -> list[EncodedChat]:
        # Headers come again and again: each text is encoded once.
        texts = dict.fromkeys(
            text
            for chat in chats
            for stretch in chat
            if stretch[0].token is None
            for text, _ in _borders(stretch)
        )
        ids = dict(zip(texts, self._tokenizer.encode_batch(list(texts)), strict=True))
        return [self._assembled(chat, ids) for chat in chats]

    def _assembled(self, chat: Sequence[_Stretch], ids: Mapping[str, list[int]]) -> EncodedChat:
        made = EncodedChat([], [])
        for stretch in chat:
            token = stretch[0].token
            if token is None:
                self._append(made, [(ids[text], counted) for text, counted in _borders(stretch)])
            else:
                made.ids.append(token)
                made.counted.append(stretch[0].counted)
        return made

    def _append(self, made: EncodedChat, borders: Sequence[tuple[list[int], bool]]) -> None:
        """Add a text, given by the tokens up to each border in it; the last are all of them."""
        whole, start = borders[-1][0], len(made.ids)
        made.ids.extend(whole)
        for before, counted in borders:
            stop = start + self._border(whole, before)
            made.counted.extend([counted] * (stop - len(made.counted)))

    def _border(self, whole: list[int], before: list[int]) -> int:
        """How many tokens of a text belong to its beginning, whose own tokens are `before`.

        The contract of tokenizers gives no offsets, and the end of the beginning may be divided
        otherwise in the whole: from where they differ, tokens are decoded and measured.
        """
        if whole[: len(before)] == before:
            return len(before)
        end = common_prefix(whole, before)
        first = max(end - 1, 0)
        length = len(self._tokenizer.decode(before[first:]))
        while end < len(whole) and len(self._tokenizer.decode(whole[first : end + 1])) <= length:
            end += 1
        return end


def _borders(stretch: _Stretch) -> list[tuple[str, bool]]:
    """The text up to the end of each run of spans that all count or all do not."""
    runs = [
        ("".join(span.text for span in group), counted)
        for counted, group in groupby(stretch, lambda span: span.counted)
    ]
    return list(zip(accumulate(text for text, _ in runs), (c for _, c in runs), strict=True))


def variables_of(tokenizer: Tokenizer) -> dict[str, object]:
    """The control tokens that templates ask for by kind, as far as there are such."""
    special = tokenizer.special
    kinds = {
        "bos": special.bos,
        "eos": special.eos,
        "pad": special.pad,
        "unk": special.unk,
        "mask": special.mask,
    }
    spelt = {token_id: name for name, token_id in special.named.items()}
    return {f"{kind}_token": spelt[i] for kind, i in kinds.items() if i is not None}


def _check_control_tokens(template: ChatTemplate, named: Mapping[str, int]) -> None:
    missing = [name for name in template.control_tokens if name not in named]
    if missing:
        raise ConfigError(
            f"the tokenizer lacks control tokens of the chat template '{template.name}': "
            + ", ".join(missing),
            where="data.chat_template",
            fixes=(
                "train the tokenizer again, now with them: llm tokenizer train",
                'or choose a template that needs none: data.chat_template = "plain"',
                "if plain text may spell them, begin the template with {#- control tokens: -#}",
            ),
        )


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise DataError(
            f"'{role}' is not a role in a conversation",
            fixes=(*did_you_mean(role, ROLES), f"use one of: {', '.join(ROLES)}"),
        )
