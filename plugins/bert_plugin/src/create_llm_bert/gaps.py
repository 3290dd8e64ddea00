"""Guessing what stands in the gaps of a text."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import ConfigError
from create_llm.models.loaded import LoadedModel


@dataclass(frozen=True, slots=True)
class Guess:
    """A token that may stand in a gap; `token` is the text it spells, a space before it included.

    Attributes:
        probability: among all tokens of the vocabulary, from 0 to 1.
    """

    token: str
    id: int
    probability: float


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its gaps closed by the likeliest tokens; `gaps` has the guesses of each, best
    first, as if the others were still open."""

    text: str
    gaps: tuple[tuple[Guess, ...], ...]


@torch.inference_mode()
def fill(model: LoadedModel, text: str, top: int) -> Filled:
    """Guess the `top` likeliest tokens of each gap, which the text has where the mask is spelt.

    Raises:
        ConfigError: the model does not fill gaps, the text has none, or it is too long.
    """
    mask = _mask(model)
    ids = _with_gaps(model.tokenizer, text, mask)
    if len(ids) > model.context:
        raise ConfigError(
            f"the text has {len(ids)} tokens, and the model reads {model.context} at most",
            fixes=("leave out what stands far from the gaps",),
        )
    tokens = torch.tensor([ids], device=model.device)
    places = (tokens[0] == mask).nonzero().flatten()
    output = model.module(tokens)
    likelihood = output.head(output.hidden[0, places]).float().softmax(-1).cpu()
    best = likelihood.topk(min(top, likelihood.shape[-1]))
    for place, likeliest in zip(places.tolist(), best.indices[:, 0].tolist(), strict=True):
        ids[place] = likeliest
    rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    gaps = tuple(
        tuple(Guess(_spelt(model.tokenizer, id_), id_, p) for id_, p in zip(*row, strict=True))
        for row in rows
    )
    return Filled(model.tokenizer.decode(ids), gaps)


def _mask(model: LoadedModel) -> int:
    mask = model.tokenizer.special.mask
    if "masked" not in model.architecture.capabilities or mask is None:
        raise ConfigError(
            f"a model of the kind {type(model.architecture).__name__} does not fill gaps",
            fixes=(
                'train one that does: llm new my-bert --template bert, or [model] name = "bert"',
                "to continue a text with this one: llm generate",
            ),
        )
    return mask


def _with_gaps(tokenizer: Tokenizer, text: str, mask: int) -> list[int]:
    """Ids of the text with the mask token for each gap.

    Only here: `encode_batch` reads the mask's spelling as the characters it is. A space before a
    gap belongs to it, as tokenizers that keep spaces put it into the token that follows.
    """
    spelling = tokenizer.token(mask)
    *before, last = text.split(spelling)
    if not before:
        raise ConfigError(
            "the text has no gap to fill",
            fixes=(f'write {spelling} in place of a word: llm fill "The {spelling} sat down."',),
        )
    ids: list[int] = []
    *pieces, end = tokenizer.encode_batch([*(piece.removesuffix(" ") for piece in before), last])
    for piece in pieces:
        ids += [*piece, mask]
    return [*ids, *end]


def _spelt(tokenizer: Tokenizer, token: int) -> str:
    """What a token adds to a text; the name of one that adds nothing."""
    return tokenizer.decode([token]) or tokenizer.token(token)
