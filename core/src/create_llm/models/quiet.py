"""Transformers without its own bars and notes, wherever parts of ours use it."""

from __future__ import annotations

import os

_ASKED = "TRANSFORMERS_VERBOSITY"


def quiet_transformers() -> None:
    """From here on in this process, unless that variable of theirs asks for notes: they come while
    a model is loaded and in the midst of what it writes, with a terminal and without, and what a
    person has to know of it we say ourselves."""
    from transformers.utils import logging

    if _ASKED not in os.environ:
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
