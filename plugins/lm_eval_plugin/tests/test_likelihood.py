"""Likelihoods, against those of Hugging Face's transformers on the same bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

import create_llm
from create_llm.models.loaded import LoadedModel
from create_llm_lm_eval.likelihood import Likelihood, Pair, cut, likelihoods, sequences

CONTEXT = 24


@pytest.fixture(scope="module")
def model(bundle: Path) -> LoadedModel:
    return create_llm.load(bundle).loaded


@pytest.fixture(scope="module")
def peer(bundle: Path) -> nn.Module:
    return AutoModelForCausalLM.from_pretrained(bundle).eval()


@torch.inference_mode()
def expected(peer: nn.Module, pair: Pair) -> Likelihood:
    """One token at a time, each with as much before it as its window allows."""
    context, whole = len(pair.context), [*pair.context, *pair.continuation]
    logprob, greedy = 0.0, True
    for place in range(context, len(whole)):
        window = (place - context) // CONTEXT * CONTEXT + context
        end = min(window + CONTEXT, len(whole))
        before = whole[max(end - 1 - CONTEXT, 0) : place]
        row = peer(torch.tensor([before])).logits[0, -1].double().log_softmax(-1)
        logprob += float(row[whole[place]])
        greedy &= int(row.argmax()) == whole[place]
    return Likelihood(logprob, greedy)


def random_pairs(lengths: Sequence[tuple[int, int]]) -> list[Pair]:
    torch.manual_seed(0)
    return [
        Pair(torch.randint(4, 260, (one,)).tolist(), torch.randint(4, 260, (other,)).tolist())
        for one, other in lengths
    ]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_equal_to_transformers_token_by_token(
    model: LoadedModel, peer: nn.Module, batch_size: int
) -> None:
    """Short ones, ones that just fit, ones that are cut, and ones of several windows."""
    lengths = [(1, 1), (5, 3), (20, 5), (21, 4), (24, 1), (25, 1), (40, 7), (1, 24), (1, 25)]
    pairs = random_pairs([*lengths, (1, 60), (9, 50), (3, 0)])
    found = likelihoods(model, pairs, batch_size)
    for pair, one in zip(pairs, found, strict=True):
        there = expected(peer, pair)
        assert one.logprob == pytest.approx(there.logprob, abs=1e-3)
        assert one.greedy == there.greedy


def test_what_the_model_would_write_is_greedy(model: LoadedModel, peer: nn.Module) -> None:
    [context] = model.tokenizer.encode_batch(["the cat"])
    written = peer.generate(
        torch.tensor([context]), do_sample=False, max_new_tokens=6, min_new_tokens=6
    )[0].tolist()[len(context) :]
    pair = Pair(context, written)
    others = Pair(context, [*written[:-1], (written[-1] + 1) % 260])
    assert [one.greedy for one in likelihoods(model, [pair, others], 8)] == [True, False]


def test_choices_that_differ_in_their_last_token_share_a_pass(model: LoadedModel) -> None:
    pairs = [Pair([5, 6, 7], [8, last]) for last in range(10, 20)]
    done: list[int] = []
    together = likelihoods(model, [*pairs, Pair([5, 6], [7, 8, 11])], 4, done.append)
    assert sum(done) == sequences(pairs, CONTEXT) == 1
    alone = [likelihoods(model, [pair], 1)[0] for pair in pairs]
    assert [one.logprob for one in together[:-1]] == pytest.approx([a.logprob for a in alone])
    # The longer continuation counts a token more of the same sequence.
    assert together[-1].logprob < together[1].logprob


def test_which_contexts_are_cut() -> None:
    pairs = random_pairs([(20, 5), (21, 5), (1, 60), (24, 1), (25, 1)])
    assert cut(pairs, CONTEXT) == 2
