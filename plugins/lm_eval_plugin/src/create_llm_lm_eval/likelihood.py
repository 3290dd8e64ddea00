"""How likely a model finds given tokens behind others: many questions, few forward passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from create_llm.models.loaded import LoadedModel


@dataclass(frozen=True, slots=True)
class Pair:
    """A continuation to score, and the tokens before it, of which there is at least one."""

    context: Sequence[int]
    continuation: Sequence[int]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """
    Attributes:
        logprob: ln P(continuation | context), in nats.
        greedy: whether the model would have written just that at temperature 0.
    """

    logprob: float
    greedy: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one forward pass scores of a pair: the last tokens that its inputs lead to."""

    pair: int
    targets: tuple[int, ...]


def likelihoods(
    model: LoadedModel,
    pairs: Sequence[Pair],
    batch_size: int,
    progress: Callable[[int], object] = lambda pieces: None,
) -> list[Likelihood]:
    """Score each continuation; all of its tokens count, once each.

    What does not fit into the model's context is cut from the context's beginning. A continuation
    longer than that is scored a window at a time, so that the one token before each window is
    known and the last window is full: the harness's rolling likelihood.

    Args:
        batch_size: sequences that the model reads at once.
        progress: told how many more forward passes' sequences are done.
    """
    logprobs, greedy = [0.0] * len(pairs), [True] * len(pairs)
    waiting = _by_inputs(pairs, model.context)
    # The longest first: a batch that does not fit fails at once, and there is little padding.
    order = sorted(waiting, key=len, reverse=True)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        wanted = [max(len(piece.targets) for piece in waiting[inputs]) for inputs in chosen]
        for inputs, rows in zip(chosen, _logprobs(model, chosen, wanted), strict=True):
            for piece in waiting[inputs]:
                logprob, likeliest = _at(rows, piece.targets)
                logprobs[piece.pair] += logprob
                greedy[piece.pair] &= likeliest
        progress(len(chosen))
    return [Likelihood(*both) for both in zip(logprobs, greedy, strict=True)]


def sequences(pairs: Sequence[Pair], context: int) -> int:
    """How many sequences `likelihoods` reads for these pairs."""
    return len(_by_inputs(pairs, context))


def cut(pairs: Sequence[Pair], context: int) -> int:
    """How many of the pairs lose tokens of their context."""
    return sum(
        len(pair.context) > 1 and len(pair.context) + len(pair.continuation) - 1 > context
        for pair in pairs
    )


def _by_inputs(pairs: Sequence[Pair], context: int) -> dict[tuple[int, ...], list[_Piece]]:
    """The pieces of all pairs by what the model reads for them.

    The choices of a question often differ in their last token alone: they share a sequence.
    """
    waiting: dict[tuple[int, ...], list[_Piece]] = {}
    for number, pair in enumerate(pairs):
        for inputs, targets in _windows(pair, context):
            waiting.setdefault(inputs, []).append(_Piece(number, targets))
    return waiting


def _windows(pair: Pair, context: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Inputs of at most `context` tokens, and the tokens at whose end they stand."""
    whole = (*pair.context, *pair.continuation)
    for start in range(len(pair.context), len(whole), context):
        stop = min(start + context, len(whole))
        yield whole[max(stop - 1 - context, 0) : stop - 1], whole[start:stop]


@torch.inference_mode()
def _logprobs(
    model: LoadedModel, batch: Sequence[tuple[int, ...]], wanted: Sequence[int]
) -> Iterator[Tensor]:
    """Of each sequence the log-probabilities [wanted, vocabulary] behind its last tokens, fp32.

    Padding stands behind the text, where a causal model cannot see it from.
    """
    tokens = torch.zeros((len(batch), len(batch[0])), dtype=torch.long)
    for row, inputs in zip(tokens, batch, strict=True):
        row[: len(inputs)] = torch.tensor(inputs)
    output = model.module(tokens.to(model.device))
    for hidden, inputs, count in zip(output.hidden, batch, wanted, strict=True):
        logits = output.head(hidden[len(inputs) - count : len(inputs)])
        yield logits.float().log_softmax(-1)


def _at(rows: Tensor, targets: tuple[int, ...]) -> tuple[float, bool]:
    """The targets' summed log-probability, and whether each is the likeliest of its row."""
    rows, ids = rows[-len(targets) :], torch.tensor(targets, device=rows.device)
    chosen = rows.gather(-1, ids[:, None])
    return float(chosen.cpu().sum(dtype=torch.float64)), bool((rows.argmax(-1) == ids).all())
