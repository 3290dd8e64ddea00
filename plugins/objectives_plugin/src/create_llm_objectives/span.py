"""Span corruption (T5: Raffel et al. 2019, 1910.10683)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor

from create_llm.data.samples import Sample
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import DataError
from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import IGNORED, Batch, LossOutput, Objective
from create_llm_objectives.config import SpanConfig
from create_llm_objectives.loss import summed_cross_entropy
from create_llm_objectives.rows import Row, attention_mask, padded

SENTINELS = tuple(f"<extra_id_{number}>" for number in range(100))


class SpanObjective(Objective):
    """Write the spans that were cut out of a text.

    The encoder reads the text with a sentinel in place of each span; the decoder writes each
    sentinel and what stood there, then the end of the text.
    """

    control_tokens = SENTINELS
    trains = frozenset({"seq2seq"})

    def __init__(self, config: BaseModel | None, tokenizer: Tokenizer) -> None:
        assert isinstance(config, SpanConfig)
        special = tokenizer.special
        missing = [name for name in SENTINELS if name not in special.named]
        if missing:
            raise DataError(
                f"the tokenizer lacks {len(missing)} of the {len(SENTINELS)} sentinels that stand "
                f"for spans, {missing[0]} first",
                fixes=(
                    "train it again, now with them: llm tokenizer train",
                    "or take the tokenizer of a T5 model as your own",
                ),
            )
        self._config, self._eos = config, special.eos
        self._start = special.eos if special.pad is None else special.pad
        self._sentinels = np.array([special.named[name] for name in SENTINELS])
        self.stop_tokens = frozenset(self._sentinels.tolist())

    def window(self, context: int) -> int:
        """As many tokens as fill the encoder once their spans are sentinels."""
        size = 1
        while self._encoded(size + 1) <= context and self._spans(size + 1) <= len(SENTINELS):
            size += 1
        return size

    def batch(self, samples: Sequence[Sample], seeds: Sequence[int]) -> Batch:
        """Texts with sentinels, and the spans to write; shorter ones are padded behind."""
        cut = [self._cut(*drawn) for drawn in zip(samples, seeds, strict=True)]
        texts, written, wanted = ([parts[i] for parts in cut] for i in range(3))
        labels = padded(wanted, IGNORED)
        inputs = {
            "tokens": padded(texts, self._start),
            "decoder_tokens": padded([self._later(row) for row in written], self._start),
            **attention_mask(texts),
        }
        return Batch(inputs, labels, int((labels != IGNORED).sum()))

    def loss(self, output: ModelOutput, batch: Batch) -> LossOutput:
        """Summed cross-entropy in nats of sentinels, spans and end."""
        return LossOutput(summed_cross_entropy(output, batch.labels))

    def prompt(self, tokens: Sequence[int]) -> Mapping[str, Tensor]:
        """The text as if what follows it had been cut out, which the decoder begins to write."""
        first = int(self._sentinels[0])
        return {
            "tokens": torch.tensor([[*tokens, first, self._eos]]),
            "decoder_tokens": torch.tensor([[self._start, first]]),
        }

    def hf_config(self) -> Mapping[str, int]:
        return {"decoder_start_token_id": self._start}

    def _noise(self, size: int) -> int:
        """How many of `size` tokens are cut out: some, and not all where there are several."""
        return min(max(round(self._config.density * size), 1), max(size - 1, 1))

    def _spans(self, size: int) -> int:
        """In how many spans; there is text before and between them."""
        spans = max(round(self._noise(size) / self._config.mean_span), 1)
        return min(spans, max(size - self._noise(size), 1))

    def _encoded(self, size: int) -> int:
        """Tokens of the encoder, or of the decoder if those are more, for `size` tokens."""
        noise, spans = self._noise(size), self._spans(size)
        return max(size - noise, noise) + spans + 1

    def _cut(self, sample: Sample, seed: int) -> tuple[Row, Row, Row]:
        """The text with sentinels; what is written; and the same with what does not count."""
        tokens, size = sample.tokens, len(sample.tokens)
        noise = self._noise_mask(size, np.random.default_rng(seed))
        starts = np.flatnonzero(noise & ~np.concatenate(([False], noise[:-1])))
        sentinels = self._sentinels[: len(starts)]
        text = np.where(noise, self._start, tokens)
        text[starts] = sentinels
        kept = ~noise
        kept[starts] = True
        written = np.insert(tokens, starts, sentinels)
        hidden = np.ones(size, dtype=np.bool_) if sample.counted is None else sample.counted
        wanted = np.insert(np.where(hidden, tokens, IGNORED), starts, sentinels)
        inside = np.insert(noise, starts, True)
        end = [self._eos]
        return (
            np.concatenate((text[kept], end)),
            np.concatenate((written[inside], end)),
            np.concatenate((wanted[inside], end)),
        )

    def _noise_mask(self, size: int, random: np.random.Generator) -> NDArray[np.bool_]:
        """bool [size]: stretches of text and noise in turn, each of a random length."""
        noise, spans = self._noise(size), self._spans(size)
        if size == 1:
            return np.ones(1, dtype=np.bool_)
        lengths = np.empty(2 * spans, dtype=np.int64)
        lengths[0::2] = _partition(size - noise, spans, random)
        lengths[1::2] = _partition(noise, spans, random)
        return np.repeat(np.arange(2 * spans) % 2 == 1, lengths)

    def _later(self, row: Row) -> Row:
        """What the decoder has written before each place."""
        return np.concatenate(([self._start], row[:-1]))


def _partition(total: int, parts: int, random: np.random.Generator) -> NDArray[np.int64]:
    """`parts` lengths of at least 1 that add up to `total`, each way equally likely."""
    cuts = np.sort(random.choice(total - 1, parts - 1, replace=False)) + 1
    return np.diff(np.concatenate(([0], cuts, [total])))
