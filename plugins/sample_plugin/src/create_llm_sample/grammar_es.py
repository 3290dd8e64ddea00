"""What Spanish asks for once the words are in place: agreement, contractions, capitals."""

from __future__ import annotations

import re

from create_llm_sample.gender import Gender

# Each form by gender: endings are written onto a stem ("cansad<o>"), the rest stand alone.
FORMS: dict[Gender, dict[str, str]] = {
    "f": {"o": "a", "lo": "la", "el": "la", "un": "una", "pron": "ella"},
    "m": {"o": "o", "lo": "lo", "el": "el", "un": "un", "pron": "él"},
}

_CONTRACTION = re.compile(r"\b([Aa]|[Dd]e) el\b")
_AND = re.compile(r"\by (?=h?i(?![aeo]))", re.IGNORECASE)
_OR = re.compile(r"\bo (?=h?o)", re.IGNORECASE)
# A dash opens speech only at the head of a line; elsewhere it returns to the teller: "¡Ven! —dijo".
_SENTENCE_START = re.compile(r"((?:^|\n)—?[¿¡«]*|[.!?] [¿¡«]*)([a-záéíóúñ])")
_SPACES = re.compile(r" {2,}")
_LINE_EDGES = re.compile(r" *\n[ \n]*")
_FEMININE = (("ón", "ona"), ("ín", "ina"), ("án", "ana"), ("or", "ora"), ("o", "a"))


def feminine(adjective: str) -> str:
    """The feminine of a masculine singular; phrases like "de papel" have one form."""
    if adjective.startswith("de "):
        return adjective
    for ending, replacement in _FEMININE:
        if adjective.endswith(ending):
            return adjective.removesuffix(ending) + replacement
    return adjective


def agree(adjective: str, gender: Gender) -> str:
    return feminine(adjective) if gender == "f" else adjective


def finish(text: str) -> str:
    """``text`` with its contractions, spaces and sentence capitals put right."""
    text = _LINE_EDGES.sub("\n", _SPACES.sub(" ", text)).strip()
    text = _CONTRACTION.sub(lambda m: f"{m[1]}l", text)
    text = _OR.sub("u ", _AND.sub("e ", text))
    return _SENTENCE_START.sub(lambda m: m[1] + m[2].upper(), text)


def title(text: str) -> str:
    """``text`` as a title, which in Spanish is written like a sentence."""
    return finish(text)
