"""How good a loss is, by the vocabulary alone.

A model of V tokens that knows nothing, and takes each to be as likely as any other, has a loss of
ln V nats. One that knows only how often each token occurs has about three quarters of that in
natural text, whatever the language: token frequencies are Zipf's, and their entropy is 0.70 to 0.85
of ln V for V = 300 … 50,000.
"""

from __future__ import annotations

import math
from typing import Literal

Zone = Literal["good", "acceptable", "problematic"]
"""good: it uses what stands before a token; acceptable: better than frequencies alone; problematic:
no better than counting tokens."""

GOOD, ACCEPTABLE = 0.5, 0.75
"""Shares of ln V up to which a loss is that."""


def guessing(vocabulary: int) -> float:
    """Nats a token of a model that knows nothing."""
    return math.log(vocabulary)


def zone_of(loss: float, vocabulary: int) -> Zone:
    """Where a loss lies, nats a token; one that is no number is problematic."""
    guess = guessing(vocabulary)
    if loss < GOOD * guess:
        return "good"
    return "acceptable" if loss < ACCEPTABLE * guess else "problematic"
