"""Counter-based randomness: every draw follows from the run's seed, a purpose and integers.

Nothing has to be saved to continue exactly, and neither accumulation nor the number of processes
changes what a sample sees.
"""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, purpose: str, *counters: int) -> int:
    """A 63-bit seed for one purpose at one place of the run."""
    text = ":".join([str(seed), purpose, *map(str, counters)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
