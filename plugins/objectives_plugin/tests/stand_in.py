"""What the tests of this package share: a tokenizer of numbers, and samples of them."""

from __future__ import annotations

import numpy as np

from create_llm.data.samples import Sample
from create_llm.data.tokenizer import SpecialTokens
from create_llm_objectives.span import SENTINELS

EOS, PAD, MASK, FIRST = 1, 0, 4, 200
CONTROL = {"<pad>": PAD, "</s>": EOS, "<s>": 2, "<unk>": 3, "<mask>": MASK} | {
    name: FIRST + number for number, name in enumerate(SENTINELS)
}


class Numbers:
    """Ids 5 … 199 are text."""

    vocab_size = 300
    special = SpecialTokens(EOS, 2, PAD, 3, MASK, CONTROL)


def sample(tokens, counted=None):
    flags = None if counted is None else np.array(counted, dtype=np.bool_)
    return Sample(np.array(tokens, dtype=np.int64), flags)
