"""Ways in which a file on a disk goes bad."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PAGE = 4096
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 12345\n"
)
"""What stands in place of a large file where Git LFS was not there to fetch it."""

WHOLE = ("empty", "missing", "pointer", "swapped")
KINDS = ("truncated", "flipped", "zeroed", *WHOLE)


@dataclass(frozen=True, slots=True)
class Damage:
    """One of `KINDS`.

    Attributes:
        at: the length that is left, the number of the bit, or where the page of zeroes starts.
    """

    kind: str
    at: int = 0

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}" if self.kind not in WHOLE else self.kind

    def of(self, data: bytes, other: bytes | None) -> bytes | None:
        """The damaged content; None where the file is gone.

        Args:
            other: the same file from elsewhere, for a swap.
        """
        if self.kind == "truncated":
            return data[: self.at]
        if self.kind == "flipped":
            byte, bit = divmod(self.at, 8)
            return data[:byte] + bytes([data[byte] ^ 1 << bit]) + data[byte + 1 :]
        if self.kind == "zeroed":
            length = min(PAGE, len(data) - self.at)
            return data[: self.at] + bytes(length) + data[self.at + length :]
        return {"empty": b"", "missing": None, "pointer": POINTER, "swapped": other}[self.kind]


def damages(size: int, number: int, rng: random.Random) -> list[Damage]:
    """About `number` ways to damage a file: each kind, the sampled ones at several places."""
    lengths = {1, size // 2, size - 1, *(rng.randrange(size) for _ in range(number // 4))}
    bits = {0, size * 8 - 1, *(rng.randrange(size * 8) for _ in range(number // 2))}
    pages = list(range(0, size, PAGE))
    chosen = rng.sample(pages, min(len(pages), max(1, number // 8)))
    return [
        *(Damage(kind) for kind in WHOLE),
        *(Damage("truncated", length) for length in sorted(lengths) if 0 < length < size),
        *(Damage("flipped", bit) for bit in sorted(bits)),
        *(Damage("zeroed", page) for page in sorted(chosen)),
    ]


@contextmanager
def damaged(path: Path, damage: Damage, other: Path | None = None) -> Iterator[bool]:
    """Damage a file inside the `with`; False where that changes nothing in it.

    The file is written anew, so that links to it elsewhere keep the old content.
    """
    before = path.read_bytes()
    swap = other.read_bytes() if other is not None and other.is_file() else None
    after = damage.of(before, swap)
    changes = after != before and not (damage.kind == "swapped" and swap is None)
    if changes:
        put(path, after)
    try:
        yield changes
    finally:
        if changes:
            put(path, before)


def put(path: Path, content: bytes | None) -> None:
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
