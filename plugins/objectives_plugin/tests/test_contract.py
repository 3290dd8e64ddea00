"""The contract of objectives."""

from __future__ import annotations

from typing import ClassVar

from create_llm.testing import ObjectiveContract


class TestCausal(ObjectiveContract):
    name = "causal"


class TestSFT(ObjectiveContract):
    name = "sft"


class TestMasked(ObjectiveContract):
    name = "masked"


class TestSpan(ObjectiveContract):
    name = "span"


class TestSpansOfOneAndMany(ObjectiveContract):
    name = "span"
    options: ClassVar = {"density": 0.4, "mean_span": 1.0}
