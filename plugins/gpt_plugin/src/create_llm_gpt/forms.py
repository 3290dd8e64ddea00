"""What tells the published families apart. A form is a row of `FORMS`; the parts are in `model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Form:
    """The parts that a family's decoder is made of.

    Attributes:
        norm: RMSNorm, or LayerNorm with a bias.
        positions: queries and keys turned by their position, or a learned vector for each
            position, added to the token's.
        feed_forward: SwiGLU with its gate, or one layer and GELU (its tanh approximation).
        biases: whether linear layers have them; the head never does.
        head_norm: whether each head's queries and keys are normalised.
        free_heads: whether heads may share keys and values, and be wider than dim / heads.
    """

    norm: Literal["rms", "layer"]
    positions: Literal["rotary", "learned"]
    feed_forward: Literal["swiglu", "gelu"]
    biases: bool
    head_norm: bool
    free_heads: bool


FORMS: Mapping[str, Form] = {
    "qwen3": Form("rms", "rotary", "swiglu", biases=False, head_norm=True, free_heads=True),
    "llama": Form("rms", "rotary", "swiglu", biases=False, head_norm=False, free_heads=True),
    "gpt2": Form("layer", "learned", "gelu", biases=True, head_norm=False, free_heads=False),
}
