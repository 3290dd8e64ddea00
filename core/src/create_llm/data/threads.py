"""How many threads a tokenizer may encode with."""

from __future__ import annotations

import os

from create_llm.config.hardware import detect

_VARIABLE = "RAYON_NUM_THREADS"


def encoder_threads() -> int:
    """What RAYON_NUM_THREADS says, or else one for each core.

    It is what Hugging Face's library goes by, and what preparation sets for each of its processes,
    so that together they have as many threads as there are cores.
    """
    said = os.environ.get(_VARIABLE, "")
    return int(said) if said.isdigit() and int(said) > 0 else detect().cores
