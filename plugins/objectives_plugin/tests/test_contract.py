"""The contract of objectives, for `causal`."""

from __future__ import annotations

from create_llm.testing import ObjectiveContract


class TestCausal(ObjectiveContract):
    name = "causal"
