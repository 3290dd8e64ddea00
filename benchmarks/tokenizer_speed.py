"""How fast tokenizers train and encode, beside the libraries that they are made of.

    python benchmarks/tokenizer_speed.py [--corpus FILE] [--vocab-size N] [--rounds N] [--only NAME]

Each line of stdout is one JSON object: a contender, with `mb_per_second` of encoding, the best of
all rounds, `cpu_mb_per_second` (by processor time, which other programs disturb less), `ratio` to
the fastest contender with the same ids, `train_seconds` where it is trained, `tokens` and
`same_ids`. Contenders take turns, so that a busy moment of the machine touches all of them.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from data import sentences

from create_llm.data.threads import encoder_threads
from create_llm.kernel.plugins import default_plugins

if TYPE_CHECKING:
    import tokenizers

    from create_llm.data.tokenizer import Tokenizer

Encode = Callable[[Sequence[str]], list[list[int]]]
BLOCK = 16_384
MADE_UP_SENTENCES = 40_000
OURS = ("bpe", "wordpiece", "unigram", "byte", "sentencepiece-unigram", "sentencepiece-bpe")


@dataclass
class Contender:
    """One way to encode.

    Attributes:
        group: our tokenizer with whose ids its own are compared.
    """

    name: str
    group: str
    encode: Encode
    train_seconds: float | None = None
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    ids: list[list[int]] = field(default_factory=list)

    def run(self, texts: Sequence[str]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.ids = self.encode(texts)
        self.seconds.append(time.perf_counter() - wall)
        self.cpu_seconds.append(time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="a text file in UTF-8; unset: made-up words")
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=OURS, help="one of our tokenizers")
    options = parser.parse_args()
    text = options.corpus.read_text(encoding="utf-8") if options.corpus else made_up_text()
    texts = [text[at : at + BLOCK] for at in range(0, len(text), BLOCK)]
    contenders = [
        contender
        for name in options.only or OURS
        for contender in contenders_of(name, texts, options.vocab_size)
    ]
    for number in range(options.rounds):
        for contender in contenders:
            print(f"round {number + 1}: {contender.name}", file=sys.stderr)
            contender.run(texts)
    size = len(text.encode())
    for contender in contenders:
        rivals = [other for other in contenders if other.group == contender.group]
        print(json.dumps(report(contender, rivals, size)))


def made_up_text() -> str:
    return "".join(random.Random(0).choices(sentences(20_000), k=MADE_UP_SENTENCES))


def contenders_of(name: str, texts: Sequence[str], vocab_size: int) -> list[Contender]:
    """Our tokenizer, the bare libraries with its ids, and those libraries' own training."""
    part = default_plugins().registry.get("tokenizers", name)
    model = part.config_model()
    assert model is not None
    config = model() if name == "byte" else model(vocab_size=vocab_size)
    started = time.perf_counter()
    tokenizer: Tokenizer = part.load().train(iter(texts), config)
    ours = Contender(f"create-llm {name}", name, tokenizer.encode_batch)
    ours.train_seconds = time.perf_counter() - started
    tokenizer.encode_batch(texts)  # what is made once, such as the faster encoder
    return [ours, *bare(name, tokenizer), *trained_by_others(name, texts, vocab_size)]


def bare(name: str, tokenizer: Tokenizer) -> list[Contender]:
    """The libraries with our vocabulary, called directly."""
    import tokenizers

    with TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        rust = tokenizers.Tokenizer.from_file(str(Path(folder, "tokenizer.json")))
        model = Path(folder, "tokenizer.model")
        data = model.read_bytes() if model.exists() else None
    rust.encode_special_tokens = True

    def hugging_face(texts: Sequence[str]) -> list[list[int]]:
        found = rust.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    contenders = [Contender(f"tokenizers, ids of {name}", name, hugging_face)]
    if data is not None:
        contenders.append(Contender(f"sentencepiece, ids of {name}", name, sentencepiece_of(data)))
    if name == "bpe":
        contenders.append(Contender("tiktoken, ids of bpe", name, tiktoken_of(rust)))
    return contenders


def sentencepiece_of(data: bytes) -> Encode:
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_proto=data)

    def encode(texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = model.encode(list(texts), num_threads=encoder_threads())
        return ids

    return encode


def tiktoken_of(rust: tokenizers.Tokenizer) -> Encode:
    """tiktoken with the merges of a tokenizer.json, as anybody would set it up by hand."""
    import tiktoken
    from tiktoken_ext.openai_public import r50k_pat_str  # type: ignore[import-untyped]

    from create_llm_tokenizers.encoders import byte_of_letter

    control = {token.content for token in rust.get_added_tokens_decoder().values()}
    ranks = {
        bytes(byte_of_letter()[letter] for letter in token): number
        for token, number in rust.get_vocab().items()
        if token not in control
    }
    encoding = tiktoken.Encoding(
        "bare", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={}
    )

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return encoding.encode_ordinary_batch(list(texts), num_threads=encoder_threads())

    return encode


def trained_by_others(name: str, texts: Sequence[str], vocab_size: int) -> list[Contender]:
    """What the libraries make of the same text by themselves; their ids are others."""
    train = {
        "bpe": lambda: hugging_face_bpe(texts, vocab_size),
        "sentencepiece-unigram": lambda: sentencepiece_own("unigram", texts, vocab_size),
        "sentencepiece-bpe": lambda: sentencepiece_own("bpe", texts, vocab_size),
    }.get(name)
    if train is None:
        return []
    started = time.perf_counter()
    encode = train()
    seconds = time.perf_counter() - started
    own = f"{'tokenizers' if name == 'bpe' else 'sentencepiece'} by itself, as {name}"
    return [Contender(own, own, encode, seconds)]


def hugging_face_bpe(texts: Sequence[str], vocab_size: int) -> Encode:
    import tokenizers

    rust = tokenizers.ByteLevelBPETokenizer()
    rust.train_from_iterator(texts, vocab_size=vocab_size, min_frequency=2, show_progress=False)
    return lambda some: [encoding.ids for encoding in rust.encode_batch(list(some))]


def sentencepiece_own(kind: str, texts: Sequence[str], vocab_size: int) -> Encode:
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for text in texts for line in text.split("\n")),
        model_writer=written,
        model_type=kind,
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        byte_fallback=True,
        num_threads=encoder_threads(),
        minloglevel=2,
    )
    return sentencepiece_of(written.getvalue())


def report(contender: Contender, rivals: Sequence[Contender], size: int) -> dict[str, object]:
    """A contender's line; `rivals` are those of its group, itself and ours among them."""
    fastest, cheapest = (
        min(min(getattr(rival, key)) for rival in rivals) for key in ("seconds", "cpu_seconds")
    )
    seconds, cpu = min(contender.seconds), min(contender.cpu_seconds)
    trained = contender.train_seconds
    return {
        "name": contender.name,
        "mb_per_second": round(size / seconds / 1e6, 2),
        "cpu_mb_per_second": round(size / cpu / 1e6, 2),
        "ratio": round(fastest / seconds, 3),
        "cpu_ratio": round(cheapest / cpu, 3),
        "same_ids": contender.ids == rivals[0].ids,
        "train_seconds": None if trained is None else round(trained, 2),
        "tokens": sum(map(len, contender.ids)),
        "bytes": size,
        "cores": encoder_threads(),
    }


if __name__ == "__main__":
    main()
