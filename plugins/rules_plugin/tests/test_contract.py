"""The contract of synthesizers, on a few paragraphs."""

from __future__ import annotations

from create_llm.testing import SynthesizerContract

TEXT = (
    "The lantern of Ost is a tower by the sea. It was built in 1783 by two sisters. Mira Tal keeps "
    "the light today. Every evening she climbs 214 steps, and the sea answers with its murmur.\n\n"
    "A herring is a fish that lives in the sea. Fishermen bring home 30 barrels in a good week. "
    "Nobody in Ost has ever counted the gulls.",
    "The harbour was made of stone in 1801. Ships from Bergen lie there in winter. In spring the "
    "captains sail out to sea again. Their families wait on the wall with coloured flags.",
)


class TestRules(SynthesizerContract):
    name = "rules"

    def passages(self):
        return TEXT
