"""Documents that occur more than once, word for word: the first of them is kept."""

from __future__ import annotations

import hashlib

# Recorded with what was prepared by it, beside the rule of the split.
FIRST_RULE = "first of equal documents"


class Seen:
    """Remembers texts by 16 bytes of a hash each: about 100 bytes of memory a text."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def again(self, text: str) -> bool:
        """Whether this text was asked about before."""
        data = text.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(data, digest_size=16).digest()
        before = len(self._digests)
        self._digests.add(digest)
        return len(self._digests) == before
