"""The tokenizer.json of a SentencePiece model: the same ids from Hugging Face's libraries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import sentencepiece
import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from create_llm.data.control_tokens import MASKS
from create_llm_sentencepiece.training import SPACE

# The score of what no text may become: control tokens, and bytes by their names, such as <0x0A>.
# Any other way to write their characters is more probable, for all of these are pieces; and it
# leaves sums exact, as it is a whole number far below 2^53.
_NEVER = -100_000.0


def as_hugging_face(
    model: sentencepiece.SentencePieceProcessor, kind: str, control: Sequence[str]
) -> tokenizers.Tokenizer:
    """A tokenizer of the Rust library with the ids of `model`, a "unigram" or "bpe" one.

    Args:
        control: the spellings of the control tokens, the unknown one among them.
    """
    rust = tokenizers.Tokenizer(_unigram(model) if kind == "unigram" else _bpe(model))
    rust.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, prepend_scheme="never", split=True)
    rust.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    rust.add_special_tokens(
        [AddedToken(name, special=True, normalized=False, lstrip=name in MASKS) for name in control]
    )
    rust.encode_special_tokens = True
    return rust


def _pieces(model: sentencepiece.SentencePieceProcessor) -> Iterator[tuple[str, int]]:
    """The pieces that text can become, other than by its bytes."""
    for number in range(model.get_piece_size()):
        if not (model.is_control(number) or model.is_byte(number) or model.is_unknown(number)):
            yield model.id_to_piece(number), number


def _unigram(model: sentencepiece.SentencePieceProcessor) -> models.Unigram:
    ordinary = {number for _, number in _pieces(model)}
    vocabulary = [
        (model.id_to_piece(number), model.get_score(number) if number in ordinary else _NEVER)
        for number in range(model.get_piece_size())
    ]
    return models.Unigram(vocabulary, model.unk_id(), byte_fallback=True)


def _bpe(model: sentencepiece.SentencePieceProcessor) -> models.BPE:
    size = model.get_piece_size()
    return models.BPE(
        vocab={model.id_to_piece(number): number for number in range(size)},
        merges=_merges(dict(_pieces(model))),
        unk_token=model.id_to_piece(model.unk_id()),
        fuse_unk=True,
        byte_fallback=True,
    )


def _merges(pieces: Mapping[str, int]) -> list[tuple[str, str]]:
    """Every pair of pieces that makes a piece, that of the lower id first.

    SentencePiece joins any two neighbours that are a piece together.
    """
    ranked = sorted(pieces, key=pieces.__getitem__)
    return list(chain.from_iterable(_pairs(piece, pieces) for piece in ranked))


def _pairs(piece: str, pieces: Mapping[str, int]) -> list[tuple[str, str]]:
    cuts = ((piece[:place], piece[place:]) for place in range(1, len(piece)))
    pairs = [pair for pair in cuts if pair[0] in pieces and pair[1] in pieces]
    return sorted(pairs, key=lambda pair: (pieces[pair[0]], pieces[pair[1]]))


def write(rust: tokenizers.Tokenizer, path: Path) -> None:
    path.write_text(rust.to_str(pretty=True), encoding="utf-8", newline="\n")
