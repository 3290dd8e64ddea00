"""Grammatical gender, as far as it goes for people in stories."""

from __future__ import annotations

from typing import Literal

from create_llm_sample.template import Teller

Gender = Literal["f", "m"]

_SAME = 0.35
"""How often two friends are of one gender. Two genders keep "he" and "she" apart, but two girls
should be friends as well."""


def pair(teller: Teller, first: Gender | None = None) -> tuple[Gender, Gender]:
    """The genders of a hero and a friend; the hero's may be settled already."""
    drawn: Gender = "f" if teller.chance(0.5) else "m"
    hero = first or drawn
    opposite: Gender = "m" if hero == "f" else "f"
    return hero, hero if teller.chance(_SAME) else opposite
