"""The sentences of a passage."""

from __future__ import annotations

import re

FEWEST, MOST = 4, 45
"""Words of a sentence that a question can be asked about."""

_ENDS = re.compile(r"""(?<=[.!?…])["'”’»)]*\s+(?=["'“‘«(¿¡]*[A-ZÀ-ÞΑ-ΩА-Я0-9])""")
_ABBREVIATED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Mt|No|vs|e\.g|i\.e|[A-Z])\.$")
_WHOLE = re.compile(r"""[.!?…]["'”’»)]*$""")


def sentences(passage: str) -> list[str]:
    """In their order; lines, where there is no punctuation to go by, as in poems and lists."""
    paragraphs = [" ".join(each.split()) for each in re.split(r"\n\s*\n", passage)]
    found = [s for paragraph in paragraphs for s in _split(paragraph) if _WHOLE.search(s)]
    if len(found) < 2:
        found = [" ".join(line.split()) for line in passage.splitlines()]
    return [sentence for sentence in found if FEWEST <= len(sentence.split()) <= MOST]


def _split(paragraph: str) -> list[str]:
    whole: list[str] = []
    for piece in _ENDS.split(paragraph):
        if whole and _ABBREVIATED.search(whole[-1]):
            whole[-1] = f"{whole[-1]} {piece}"
        else:
            whole.append(piece)
    return whole
