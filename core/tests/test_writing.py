"""Texts that come token by token are those of all tokens together."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from create_llm.kernel.plugins import default_plugins
from create_llm.models.sampling import Sampling
from create_llm.models.writing import _TAIL, Prompt, _Text

TEXTS = ["The quick brown fox doesn't jump , over the lazy dog . né à 日本語 \n 🙂 end"] * 20
TOKENIZERS = ("bpe", "byte", "unigram", "wordpiece", "sentencepiece", "sentencepiece-unigram")


def made(name):
    registry = default_plugins().registry
    if name not in registry.names("tokenizers"):
        pytest.skip(f"the tokenizer {name} is not installed")
    part = registry.get("tokenizers", name)
    config = part.config_model()
    sized = {"vocab_size": 330} if "vocab_size" in config.model_fields else {}
    return part.load().train(TEXTS, config(**sized))


def told(text, ids):
    """The pieces until the text is over."""
    pieces = []
    for token in ids:
        pieces.append(text.take(token))
        if text.over:
            return pieces
    return [*pieces, text.take(None)]


def before(tokenizer, text, ids):
    """The same, from all ids at each token."""
    text._decoded._shorten = lambda told: None
    return told(text, ids)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_pieces_are_those_of_the_whole(name):
    tokenizer = made(name)
    model = SimpleNamespace(tokenizer=tokenizer, stop_tokens=frozenset())
    drawn = random.Random(name)
    known = tokenizer.encode_batch(TEXTS[:1])[0]
    for number in range(12):
        ids = [drawn.randrange(tokenizer.vocab_size) for _ in range(300)]
        ids = known * 6 if number == 0 else drawn.choices(known, k=300) if number % 2 else ids
        whole = tokenizer.decode(ids)
        stop = (whole[150:154],) if number % 3 == 2 and whole[150:154] else ("never there",)
        sampling = Sampling(max_new_tokens=10**6, stop=stop)
        one, other = (_Text(Prompt("", ()), model, sampling) for _ in range(2))
        assert told(one, ids) == before(tokenizer, other, ids)
        assert one.completion().text == other.completion().text


def test_a_long_text_is_not_decoded_again_and_again():
    tokenizer, sizes = made("bpe"), []

    def decode(ids):
        sizes.append(len(ids))
        return tokenizer.decode(ids)

    counted = SimpleNamespace(decode=decode)
    model = SimpleNamespace(tokenizer=counted, stop_tokens=frozenset())
    ids = tokenizer.encode_batch([" ".join(TEXTS)])[0]
    told(_Text(Prompt("", ()), model, Sampling(max_new_tokens=10**6)), ids)
    assert len(ids) > 10 * _TAIL
    assert max(sizes) <= 4 * _TAIL
