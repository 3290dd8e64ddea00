"""Whether another program writes what the module writes, token for token, on a few prompts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch

from create_llm.models.engine import TextModel
from create_llm.models.loaded import LoadedModel
from create_llm.models.sampling import Sampling

TOKENS = 32
"""Of each continuation, at most."""

Continue = Callable[[Sequence[int]], Sequence[int]]
"""Ids in; those that a program puts behind them at temperature 0, `TOKENS` or up to the end."""

_TEXTS = ("Once upon a time", "The", "What is", "In the beginning there was", "1, 2, 3,")
_GREEDY = Sampling(max_new_tokens=TOKENS, temperature=0)
_TIE = 1e-3
"""Logits as near as this share of their range are equal: it is what sums in another order, and
llama.cpp's tables for exp, come to."""


def writes_the_same(program: Continue, loaded: LoadedModel, most: int) -> bool:
    """Whether both continue each prompt in the same way at temperature 0, up to the end of the
    text or to where the module itself finds two tokens equally likely.

    Args:
        most: tokens that the program reads; it need not write beyond them, one excepted.
    """
    return all(_same(program, loaded, prompt, most) for prompt in prompts_of(loaded, most))


def prompts_of(loaded: LoadedModel, most: int) -> list[list[int]]:
    """Short ones, and one that leaves no room; none of more than `most` tokens."""
    encoded = loaded.tokenizer.encode_batch(_TEXTS)
    ids = [each or [loaded.tokenizer.special.eos] for each in encoded]
    full = [token for each in ids for token in each] * loaded.context
    most = min(loaded.longest_prompt, most)
    return [*(each[:most] for each in ids), full[:most]]


def continued(model: TextModel, prompt: Sequence[int]) -> list[int]:
    """What an opened model puts behind a prompt."""
    writer = model.writer(lambda notice: None)
    writer.add(0, prompt, _GREEDY)
    tokens = (token for _ in range(TOKENS) for _, token in writer.step())
    return [token for token in tokens if token is not None]


def _same(program: Continue, loaded: LoadedModel, prompt: Sequence[int], most: int) -> bool:
    expected, found = continued(loaded, prompt), program(prompt)
    for place, (right, other) in enumerate(zip(expected, found, strict=False)):
        if right != other:
            return _tied(loaded, [*prompt, *expected[:place]], right, other)
        if right in loaded.stop_tokens:
            return True
    room = min(len(expected), most - len(prompt) + 1)
    ended = len(found) < len(expected) and expected[len(found)] in _controls(loaded)
    return len(found) >= room or ended


def _controls(loaded: LoadedModel) -> Collection[int]:
    """What a program may end at, and keep for itself."""
    return loaded.tokenizer.special.named.values()


@torch.inference_mode()
def _tied(loaded: LoadedModel, ids: Sequence[int], right: int, other: int) -> bool:
    if len(ids) > loaded.context:
        return False
    logits = loaded.module(torch.tensor([ids])).logits()[0, -1]
    return bool(logits[right] - logits[other] < _TIE * (logits.max() - logits.min()))
