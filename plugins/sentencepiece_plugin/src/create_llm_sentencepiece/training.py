"""A SentencePiece model of a text (Kudo and Richardson 2018, 1808.06226), as its .model file."""

from __future__ import annotations

import io
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal, TextIO

import click
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from create_llm.errors import DataError
from create_llm_sentencepiece.config import BYTES, SentencePieceConfig

SPACE = "\u2581"
"""What SentencePiece writes for a space."""

# SentencePiece keeps its whole text in memory, for unigram twenty bytes for each character.
_MOST_BYTES = 32_000_000
_LONGEST_LINE = 4096
# Line ends and NUL end a sentence; the others are SentencePiece's own signs for a space, an
# unknown character and a boundary. All of them are encoded as bytes, or as a space.
_NEVER_PIECES = frozenset(f"\0\n\r{SPACE}\u2047\u2585")
# What the names of bytes are written in: <0x00> … <0xFF>.
_OF_BYTES = "<0x123456789ABCDEF>"
# Log-probabilities are rounded to this part. Sums of them are then exact, in 32 bits as in 64, so
# that of two ways to divide a word that are equally probable everybody prefers the same.
SCORE_PARTS = 128


def train_model(
    kind: Literal["unigram", "bpe"],
    texts: Iterable[str],
    names: Sequence[str],
    config: SentencePieceConfig,
) -> bytes:
    """Learn pieces; the same texts give the same bytes.

    Args:
        names: the control tokens, padding, unknown, beginning and end of text first.

    Raises:
        DataError: SentencePiece can make no vocabulary of the text.
    """
    room = config.vocab_size - len(names) - BYTES
    required = {*_OF_BYTES, *"".join(names), SPACE}
    # A file without a name, so that nothing stays behind when training is broken off.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace", newline="\n") as lines:
        counts = _write_lines(texts, lines)
        kept = required | _characters(counts, config.character_coverage, room - len(required))
        # SentencePiece refuses to begin without any sentence; these teach it nothing.
        sentences = chain(sorted(required), _sentences(lines, dropped=set(counts) - kept))
        data = _trained(kind, sentences, names, "".join(sorted(required)), config.vocab_size)
    return _with_exact_scores(data) if kind == "unigram" else data


def _write_lines(texts: Iterable[str], file: TextIO) -> Counter[str]:
    """One sentence a line; how often each character occurs."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
        file.write(text.replace("\r", "\n") + "\n")
    return counts


def _characters(counts: Counter[str], coverage: float, most: int) -> set[str]:
    """The most frequent characters that together make up `coverage` of the text.

    At most two thirds of `most`: there has to be room for what is made of them.
    """
    wanted, covered, found = coverage * counts.total(), 0, set[str]()
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for character, count in ranked:
        if covered >= wanted or len(found) >= most * 2 // 3:
            break
        covered += count
        if character not in _NEVER_PIECES and not 0xD800 <= ord(character) < 0xE000:
            found.add(character)
    return found


def _sentences(file: TextIO, *, dropped: set[str]) -> Iterator[str]:
    """The lines, cut where a character is that shall be no piece; a part of them where they are
    too many."""
    cuts = str.maketrans(dict.fromkeys(dropped - {" "}, "\n"))
    share, chance = min(1.0, _MOST_BYTES / max(file.tell(), 1)), random.Random(0)
    if share < 1.0:
        told = f"SentencePiece learns from {share:.0%} of the lines, chosen by a fixed seed"
        click.echo(f"{told}: it has to hold all of them in memory", err=True)
    file.seek(0)
    for line in file:
        if chance.random() < share:
            for part in line.translate(cuts).split("\n"):
                for start in range(0, len(part), _LONGEST_LINE):
                    yield part[start : start + _LONGEST_LINE]


def _trained(
    kind: str, sentences: Iterator[str], names: Sequence[str], required: str, vocab_size: int
) -> bytes:
    written = io.BytesIO()
    pad, unk, bos, eos, *more = names
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences,
            model_writer=written,
            model_type=kind,
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            byte_fallback=True,
            character_coverage=1.0,
            required_chars=required,
            max_sentence_length=4 * _LONGEST_LINE,
            # Text has to come back as it was.
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            control_symbols=more,
            pad_id=0,
            unk_id=1,
            bos_id=2,
            eos_id=3,
            pad_piece=pad,
            unk_piece=unk,
            bos_piece=bos,
            eos_piece=eos,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise DataError(
            f"SentencePiece can make no vocabulary of this text: {error}",
            fixes=(
                "add text: copy .txt files into data/raw",
                "or ask for fewer entries: --set tokenizer.vocab_size=512",
                'or take the byte-level one: --set tokenizer.name="bpe"',
            ),
        ) from error
    return written.getvalue()


def _with_exact_scores(data: bytes) -> bytes:
    model = sentencepiece_model_pb2.ModelProto.FromString(data)  # type: ignore[attr-defined]
    for piece in model.pieces:
        piece.score = round(piece.score * SCORE_PARTS) / SCORE_PARTS
    written: bytes = model.SerializeToString(deterministic=True)
    return written
