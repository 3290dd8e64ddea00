"""Masked language modelling (BERT: Devlin et al. 2018, 1810.04805)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from create_llm.data.samples import Sample
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import DataError
from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import IGNORED, Batch, LossOutput, Objective
from create_llm_objectives.config import MaskedConfig
from create_llm_objectives.loss import summed_at_counted
from create_llm_objectives.rows import Row, attention_mask, padded

_MASKED, _REPLACED = 0.8, 0.1
"""Of the chosen tokens; the rest stay as they are, so that no token can be taken for certain."""


class MaskedObjective(Objective):
    """Guess tokens from those on both sides.

    The tokens to guess are drawn anew each time a sample is seen (RoBERTa: 1907.11692), never
    among control tokens, and at least one of a sample.
    """

    control_tokens = ("<mask>",)
    trains = frozenset({"masked"})

    def __init__(self, config: BaseModel | None, tokenizer: Tokenizer) -> None:
        assert isinstance(config, MaskedConfig)
        special = tokenizer.special
        if special.mask is None:
            raise DataError(
                "the tokenizer has no mask token, which a masked model guesses in place of",
                fixes=(
                    "train it again, now with one: llm tokenizer train",
                    'if it is your own: name its mask token in tokenizer_config.json, "mask_token"',
                ),
            )
        self._probability, self._mask = config.probability, special.mask
        self._padding = special.pad or 0
        self._control = np.array(sorted({*special.named.values(), special.eos}))
        self._ordinary = np.setdiff1d(np.arange(tokenizer.vocab_size), self._control)

    def batch(self, samples: Sequence[Sample], seeds: Sequence[int]) -> Batch:
        """Tokens with some masked, and those as labels; shorter samples are padded behind."""
        pairs = [self._masked(*drawn) for drawn in zip(samples, seeds, strict=True)]
        rows, targets = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        labels = padded(targets, IGNORED)
        inputs = {"tokens": padded(rows, self._padding), **attention_mask(rows)}
        return Batch(inputs, labels, int((labels != IGNORED).sum()))

    def loss(self, output: ModelOutput, batch: Batch) -> LossOutput:
        """Summed cross-entropy in nats of the tokens to guess."""
        return LossOutput(summed_at_counted(output, batch))

    def _masked(self, sample: Sample, seed: int) -> tuple[Row, Row]:
        """A sample's tokens as the model sees them, and its labels."""
        random, tokens = np.random.default_rng(seed), np.array(sample.tokens)
        chosen = random.permutation(self._eligible(sample))
        chosen = chosen[: max(round(self._probability * len(chosen)), 1)]
        labels = np.full(len(tokens), IGNORED, dtype=np.int64)
        labels[chosen] = tokens[chosen]
        fate = random.random(len(chosen))
        others = random.choice(self._ordinary, len(chosen))
        kept = np.where(fate < _MASKED + _REPLACED, others, tokens[chosen])
        tokens[chosen] = np.where(fate < _MASKED, self._mask, kept)
        return tokens, labels

    def _eligible(self, sample: Sample) -> NDArray[np.int64]:
        """Places that may be guessed."""
        free = ~np.isin(sample.tokens, self._control)
        return np.flatnonzero(free if sample.counted is None else free & sample.counted)
