"""Groups of files that are prepared by themselves, and again only when they change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from create_llm_text.files import DataFile

_LARGEST = 64 << 20
# The mean: 16 MB make shards of some megabytes, and rarely does a group reach the limit, at which
# its boundary depends on where it began.
_USUAL = 16 << 20


def grouped(files: Iterable[DataFile]) -> Iterator[tuple[DataFile, ...]]:
    """Consecutive files, at most about 64 MB together, or one that is larger.

    Where a group ends depends on its last file alone (its name and size), so that another file
    changes the group it falls into, and no other unless that reaches the limit.
    """
    group: list[DataFile] = []
    size = 0
    for file in files:
        if group and size + file.text_size > _LARGEST:
            yield tuple(group)
            group, size = [], 0
        group.append(file)
        size += file.text_size
        if _ends_group(file):
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def _ends_group(file: DataFile) -> bool:
    """True for one byte in 16 MB, so to speak: the larger a file, the likelier."""
    name = file.name.encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(name, digest_size=8).digest()
    return int.from_bytes(digest, "big") * _USUAL < file.text_size << 64
