"""A few tokens through weights that nobody has run here yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from create_llm.errors import CreateLLMError, DataError
from create_llm.models.architecture import Architecture, CausalLM
from create_llm.models.weights import Undrawn, load_weights

_FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
_TOKENS = 4
_APART = 0.01
"""How far the two ways may be apart, in the largest logit; rounding comes to a thousandth of it."""
_FIXES = ("fetch the model again", "or take another revision of it")


def try_out(
    architecture: Architecture,
    config: Any,
    vocab_size: int,
    state: Mapping[str, Tensor],
    origin: str,
) -> None:
    """Build the model as it is used, and let it read and write if it is causal. It takes the
    memory that its first use takes.

    Raises:
        DataError: it cannot be built, fails, or computes what is not finite.
    """
    try:
        with Undrawn():
            module = architecture.build(config, vocab_size)
        _refuse_codes(module, state, origin)
        load_weights(module, state, origin)
        if isinstance(architecture, CausalLM):
            _run(architecture, module.eval(), min(_TOKENS, config.max_length), vocab_size)
    except (CreateLLMError, MemoryError):
        raise
    except Exception as error:  # whatever numbers out of bounds lead to
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DataError(
            f"the model cannot be run: {said[:200]}", where=origin, fixes=_FIXES
        ) from error


@torch.no_grad()
@sdpa_kernel(SDPBackend.MATH)  # the others can pass over NaN where there are few tokens
def _run(architecture: CausalLM, module: nn.Module, length: int, vocab_size: int) -> None:
    """Both ways that tokens go through it: at once, and one by one with what it keeps of them."""
    tokens = torch.arange(length)[None] % vocab_size
    whole = module(tokens).logits()
    cache, logits = architecture.begin(module, {"tokens": tokens[:, :1]}, length)
    singly = [logits]
    for place in range(1, length):
        singly.append(architecture.decode(module, tokens[:, place : place + 1], cache))
    found = torch.stack(singly, dim=1)
    if not bool(torch.isfinite(whole).all() and torch.isfinite(found).all()):
        raise ValueError("what it computes is not finite")
    if float((whole - found).abs().max()) > _APART * float(whole.abs().max()):
        raise ValueError("what it expects of a token changes with what comes after it")


def _refuse_codes(module: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    for name, _ in module.named_parameters():
        if name in state and state[name].dtype not in _FLOATS:
            dtype = str(state[name].dtype).removeprefix("torch.")
            raise DataError(
                f"{name} is {dtype}: weights as quantised models have them, or none at all",
                where=origin,
                fixes=("find the same model in bfloat16 or float32", *_FIXES[1:]),
            )
