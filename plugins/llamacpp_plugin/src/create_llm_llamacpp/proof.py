"""Whether another engine writes what the module writes, token for token, on a few prompts."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from create_llm.models.engine import TextModel
from create_llm.models.loaded import LoadedModel
from create_llm.models.sampling import Sampling

_TEXTS = ("Once upon a time", "The", "What is", "In the beginning there was", "1, 2, 3,")
_TOKENS = 32
_GREEDY = Sampling(max_new_tokens=_TOKENS, temperature=0)
_TIE = 1e-3
"""Logits as near as this share of their range are equal: it is what sums in another order, and
llama.cpp's tables for exp, come to."""


def writes_the_same(model: TextModel, loaded: LoadedModel) -> bool:
    """Whether both continue each prompt in the same way at temperature 0, up to the end of the
    text or to where the module itself finds two tokens equally likely."""
    return all(_same(model, loaded, prompt) for prompt in _prompts(loaded))


def _prompts(loaded: LoadedModel) -> list[list[int]]:
    """Short ones, and one that leaves no room."""
    encoded = loaded.tokenizer.encode_batch(_TEXTS)
    ids = [each or [loaded.tokenizer.special.eos] for each in encoded]
    full = [token for each in ids for token in each] * loaded.context
    most = loaded.longest_prompt
    return [*(each[:most] for each in ids), full[:most]]


def _same(model: TextModel, loaded: LoadedModel, prompt: Sequence[int]) -> bool:
    expected, found = _continued(loaded, prompt), _continued(model, prompt)
    for place, (right, other) in enumerate(zip(expected, found, strict=True)):
        if right != other:
            return _tied(loaded, [*prompt, *expected[:place]], right, other)
        if right in loaded.stop_tokens:
            return True
    return True


def _continued(model: TextModel, prompt: Sequence[int]) -> list[int]:
    writer = model.writer(lambda notice: None)
    writer.add(0, prompt, _GREEDY)
    tokens = (token for _ in range(_TOKENS) for _, token in writer.step())
    return [token for token in tokens if token is not None]


@torch.inference_mode()
def _tied(loaded: LoadedModel, ids: Sequence[int], right: int, other: int) -> bool:
    if len(ids) > loaded.context:
        return False
    logits = loaded.module(torch.tensor([ids])).logits()[0, -1]
    return bool(logits[right] - logits[other] < _TIE * (logits.max() - logits.min()))
