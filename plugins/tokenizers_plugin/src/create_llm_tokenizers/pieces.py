"""The vocabulary of a unigram model (Kudo 2018, 1804.10959), learnt by SentencePiece."""

from __future__ import annotations

import io
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import sentencepiece

LONGEST = 24
"""Letters of a piece at most. More cost time and were of no use in English and Spanish."""

# Letters of the distinct words that are learnt from, the most frequent words first. The sequences
# in them are counted in Python, in about as many bytes as 500 times this number.
_MOST_LETTERS = 1_000_000
_SEEDS = 200_000
# How much less likely than the least likely piece a letter is that the text does not hold.
_UNSEEN = 10.0
# What SentencePiece says where no piece occurs often enough.
_TOO_LITTLE = "no pieces are loaded"

Piece = tuple[str, float]


def learn(
    words: Mapping[str, int], letters: Sequence[str], size: int, min_frequency: int
) -> list[Piece]:
    """At most `size` pieces with their log-probabilities, the most probable first.

    SentencePiece runs in one thread, which makes it deterministic. What it chooses from is
    counted here: by itself it proposes no word that is part of no other, however frequent, and
    its vocabularies then need a tenth more tokens for the same text.

    Args:
        words: how often each word occurs; it is spelt in `letters`.
        letters: the 256 that bytes are spelt in; all of them become pieces.
        min_frequency: how often a longer piece has to occur.
    """
    used = dict(_most_frequent(words))
    seen = set().union(*used)
    room = size - (len(letters) - len(seen))
    seeds = _seeds(used, min_frequency)
    learnt = _learnt(used, seeds, room) if len(seeds) > len(seen) and room > len(seen) else []
    found, least = {piece for piece, _ in learnt}, min((score for _, score in learnt), default=0.0)
    unseen = [(letter, least - _UNSEEN) for letter in sorted(set(letters) - found)]
    return [*learnt[: size - len(unseen)], *unseen]


def _most_frequent(words: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    letters = 0
    for word, count in sorted(words.items(), key=lambda item: (-item[1], item[0])):
        letters += len(word)
        if letters > _MOST_LETTERS:
            return
        yield word, count


def _seeds(words: Mapping[str, int], min_frequency: int) -> list[tuple[str, int]]:
    """Letters, then the sequences that cover most of the text, with how often they occur."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + LONGEST) + 1):
                counts[word[start:end]] += count
    single = sorted((s, n) for s, n in counts.items() if len(s) == 1)
    longer = ((s, n) for s, n in counts.items() if len(s) > 1 and n >= min_frequency)
    ranked = sorted(longer, key=lambda seed: (-seed[1] * len(seed[0]), seed[0]))
    return [*single, *islice(ranked, _SEEDS)]


def _learnt(words: Mapping[str, int], seeds: Iterable[tuple[str, int]], size: int) -> list[Piece]:
    """What SentencePiece makes of the words; nothing where they are too few."""
    with tempfile.TemporaryDirectory(prefix="create-llm-") as folder:
        text, proposed = Path(folder, "words.tsv"), Path(folder, "seeds.tsv")
        _write_rows(text, words.items())
        _write_rows(proposed, seeds)
        try:
            model = _train(text, proposed, size)
        except RuntimeError as error:
            if _TOO_LITTLE in str(error):
                return []
            raise
    places = range(1, model.get_piece_size())
    return [(model.id_to_piece(place), model.get_score(place)) for place in places]


def _train(text: Path, seeds: Path, size: int) -> sentencepiece.SentencePieceProcessor:
    """A model of `size` pieces and, before them, the unknown one."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        input_format="tsv",
        seed_sentencepieces_file=str(seeds),
        model_writer=written,
        model_type="unigram",
        vocab_size=size + 1,
        hard_vocab_limit=False,
        character_coverage=1.0,
        max_sentencepiece_length=LONGEST,
        # The words are divided already, and spelt in letters that stand for bytes.
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_by_whitespace=False,
        split_by_unicode_script=False,
        split_by_number=False,
        unk_id=0,
        bos_id=-1,
        eos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())


def _write_rows(path: Path, rows: Iterable[tuple[str, int]]) -> None:
    text = "".join(f"{piece}\t{count}\n" for piece, count in rows)
    path.write_text(text, encoding="utf-8", newline="\n")
