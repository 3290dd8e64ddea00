"""Supervised fine-tuning on conversations."""

from __future__ import annotations

from create_llm_objectives.causal import CausalObjective


class SFTObjective(CausalObjective):
    """Predict what the assistant says, each token from all before it.

    Which tokens those are, the data says (`Sample.counted`): the chat template knows it when a
    conversation is encoded. Conversations are packed: one follows the other in windows, so that
    nothing is cut off. One that goes on in the next window is there without its beginning.
    """

    learns_answers = True
