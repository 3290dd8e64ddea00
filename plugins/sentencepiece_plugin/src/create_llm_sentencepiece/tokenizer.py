"""SentencePiece behind the contract of the core."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import ClassVar, Literal, Self

import sentencepiece
import tokenizers

from create_llm.data.control_tokens import MASKS, hf_tokenizer_config
from create_llm.data.threads import encoder_threads
from create_llm.data.tokenizer import SpecialTokens
from create_llm.errors import DataError
from create_llm_sentencepiece.config import SentencePieceConfig, reserve
from create_llm_sentencepiece.hf import as_hugging_face, write
from create_llm_sentencepiece.training import SCORE_PARTS, train_model

MODEL = "tokenizer.model"
FILE = "tokenizer.json"
CONFIG = "tokenizer_config.json"
FIXES = (
    "train another: llm tokenizer train",
    "or put the file back as it was saved",
    'a tokenizer.json made elsewhere is read by --set tokenizer.name="unigram"',
)

# What a UTF-8 encoder refuses: halves of surrogate pairs, which JSON files can smuggle in.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# A model that strips, adds or normalises anything does not bring this back.
_UNTOUCHED = " a  \ufb01\u3000\x07\n "
# Characters that are encoded at once, at most.
_CHUNK = 4096
# Sums of scores are exact in 32 bits up to here; and what SentencePiece takes off the score of the
# least probable piece for an unknown character.
_EXACT = 2**24 / SCORE_PARTS
_UNKNOWN = 10.0


class _SentencePiece:
    """Encodes with SentencePiece; the ids are those of the tokenizer.json that is saved.

    Lone surrogates in a text become U+FFFD and the space sign U+2581 a space; all else comes back
    as it was.
    """

    kind: ClassVar[Literal["unigram", "bpe"]]

    def __init__(self, data: bytes) -> None:
        """`data`: a .model file.

        Raises:
            RuntimeError: it is none.
            ValueError: it changes text, or has no bytes or no end of text.
        """
        self._data = data
        self._threads = encoder_threads()
        self._model = sentencepiece.SentencePieceProcessor(model_proto=data)
        model = self._model
        if model.decode(model.encode(_UNTOUCHED)) != _UNTOUCHED or model.eos_id() < 0:
            raise ValueError("it changes text, knows no bytes, or has no end of text")
        numbers = range(model.get_piece_size())
        self._control = {i for i in numbers if model.is_control(i) or model.is_unknown(i)}
        named = {model.id_to_piece(i): i for i in sorted(self._control)}
        masks = [named[name] for name in MASKS if name in named]
        self._special = SpecialTokens(
            eos=model.eos_id(),
            bos=_known(model.bos_id()),
            pad=_known(model.pad_id()),
            unk=_known(model.unk_id()),
            mask=masks[0] if masks else None,
            named=named,
        )

    @classmethod
    def train(
        cls, texts: Iterable[str], config: SentencePieceConfig, control_tokens: Sequence[str] = ()
    ) -> Self:
        """Learn the pieces; a small corpus gives a vocabulary smaller than `vocab_size`.

        Raises:
            DataError: too little text for any.
        """
        return cls(train_model(cls.kind, texts, reserve(config, control_tokens), config))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read tokenizer.model; all else in the folder is made from it.

        Raises:
            DataError: there is none, or it is damaged or of another kind.
        """
        path = folder / MODEL
        try:
            return cls(path.read_bytes())
        except FileNotFoundError as error:
            raise DataError("there is no .model file here", where=str(path), fixes=FIXES) from error
        except (RuntimeError, ValueError) as error:
            raise DataError(
                f"{MODEL} is damaged or was not made here: {error}", where=str(path), fixes=FIXES
            ) from error

    @property
    def vocab_size(self) -> int:
        return int(self._model.get_piece_size())

    @property
    def special(self) -> SpecialTokens:
        return self._special

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return self._encode([_without_surrogates(text) for text in texts])

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self._model.encode(list(texts), num_threads=self._threads)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self._model.decode([int(i) for i in ids if i not in self._control])
        return text

    def token(self, token_id: int) -> str:
        piece: str = self._model.id_to_piece(token_id)
        return piece

    def save(self, folder: Path) -> None:
        """Write tokenizer.model, and tokenizer.json and tokenizer_config.json for Hugging Face."""
        special, name = self._special, self._model.id_to_piece
        kinds = {kind: getattr(special, kind) for kind in ("eos", "bos", "pad", "unk", "mask")}
        spelt = {kind: name(number) for kind, number in kinds.items() if number is not None}
        (folder / MODEL).write_bytes(self._data)
        write(self._rust, folder / FILE)
        config = hf_tokenizer_config(spelt, list(special.named))
        (folder / CONFIG).write_text(config, encoding="utf-8", newline="\n")

    @cached_property
    def _rust(self) -> tokenizers.Tokenizer:
        return as_hugging_face(self._model, self.kind, list(self._special.named))


class SentencePieceUnigram(_SentencePiece):
    """Each piece has a probability; a text is divided so that the product is the greatest."""

    kind = "unigram"

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """In chunks, each of which SentencePiece can add up exactly; by tokenizer.json where a
        word is longer than that."""
        chunks = [_chunks(text, self._longest) for text in texts]
        encoded = iter(super()._encode([chunk for some in chunks for chunk in some or ()]))
        return [
            self._slowly(text) if some is None else _joined([next(encoded) for _ in some])
            for text, some in zip(texts, chunks, strict=True)
        ]

    @cached_property
    def _longest(self) -> int:
        """Characters of a chunk at most: as many as can all be unknown and still add up."""
        least = min(map(self._model.get_score, range(self.vocab_size)))
        return min(_CHUNK, int(_EXACT / (_UNKNOWN - least)))

    def _slowly(self, text: str) -> list[int]:
        ids: list[int] = self._rust.encode(text, add_special_tokens=False).ids
        return ids


class SentencePieceBPE(_SentencePiece):
    """The two neighbours that were joined earliest in training are joined first."""

    kind = "bpe"


def _without_surrogates(text: str) -> str:
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def _known(number: int) -> int | None:
    return None if number < 0 else number


def _chunks(text: str, longest: int) -> list[str] | None:
    """A text cut before spaces and line ends, where pieces never reach across; None: it cannot."""
    found, start = [], 0
    while len(text) - start > longest:
        stop = start + longest
        end = max(text.rfind(" ", start + 1, stop), text.rfind("\n", start + 1, stop))
        if end < 0:
            return None
        found.append(text[start:end])
        start = end
    return [*found, text[start:]]


def _joined(parts: Sequence[list[int]]) -> list[int]:
    return parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))
