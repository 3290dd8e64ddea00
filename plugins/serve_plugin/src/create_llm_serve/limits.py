"""How much of everything a server takes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Attributes:
        batch_size: texts that are written at the same time.
        seconds: that a request may take, waiting included.
        requests: that are taken on at the same time; who comes then is asked to come later.
        texts: that one request may ask for: prompts times `n`.
        body_bytes: of a request.
        body_seconds: that a client may take to send it.
        grace_seconds: that requests get to end in when the server is asked to end.
    """

    batch_size: int = 32
    seconds: float = 600
    requests: int = 256
    texts: int = 128
    body_bytes: int = 1 << 20
    body_seconds: float = 30
    grace_seconds: float = 20
