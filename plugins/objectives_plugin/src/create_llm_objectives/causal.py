"""Next-token prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from create_llm.data.samples import Sample
from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import IGNORED, Batch, LossOutput, Objective
from create_llm_objectives.loss import summed_cross_entropy
from create_llm_objectives.rows import Row, padded

_PADDING = np.iinfo(np.int32).max
"""The segment of what is no text: behind all others."""


class CausalObjective(Objective):
    """Predict each token from those before it.

    The labels are the sample's tokens one to the right of the inputs. This is the only place
    where they are shifted.
    """

    trains = frozenset({"causal"})
    shared = 1
    scores_text = True
    isolates = True

    def window(self, context: int) -> int:
        """One token more than the model reads: the last is only predicted."""
        return context + 1

    def batch(self, samples: Sequence[Sample], seeds: Sequence[int]) -> Batch:
        """Stack windows of n + 1 tokens to inputs and labels [batch, n]; shorter ones are padded.

        Padding stands behind the text, where a causal model cannot see it from, and its labels
        do not count.
        """
        del seeds  # nothing is drawn
        inputs = {"tokens": padded([sample.tokens[:-1] for sample in samples], 0)}
        known = [sample.segments[:-1] for sample in samples if sample.segments is not None]
        if known:
            inputs["segments"] = padded(known, _PADDING)
        labels = padded([_labels(sample) for sample in samples], IGNORED)
        return Batch(inputs, labels, int((labels != IGNORED).sum()))

    def loss(self, output: ModelOutput, batch: Batch) -> LossOutput:
        """Summed cross-entropy in nats of each next token."""
        return LossOutput(summed_cross_entropy(output, batch.labels))


def _labels(sample: Sample) -> Row:
    labels = sample.tokens[1:]
    return labels if sample.counted is None else np.where(sample.counted[1:], labels, IGNORED)
