"""What English asks for once the words are in place: a or an, capitals, titles."""

from __future__ import annotations

import re

from create_llm_sample.gender import Gender

PRONOUNS: dict[Gender, dict[str, str]] = {
    "f": {"he": "she", "him": "her", "his": "her", "himself": "herself"},
    "m": {"he": "he", "him": "him", "his": "his", "himself": "himself"},
}

_ARTICLE = re.compile(r"\b([Aa]) (?=([A-Za-z]+))")
# Spelling misleads here: "a useful map", "an honest answer".
_CONSONANT_SOUND = re.compile(r"(?:use|usu|uni(?!n)|eu|one|once)", re.IGNORECASE)
_SILENT_H = re.compile(r"(?:hour|honest|honou?r|heir)", re.IGNORECASE)
_SENTENCE_START = re.compile(r"(^|\n|[.!?] )(“?)([a-z])")
_SPACES = re.compile(r" {2,}")
# Speech straight after speech is somebody else's, and takes a line of its own.
_NEXT_SPEAKER = re.compile(r"” (?=“)")
_LINE_EDGES = re.compile(r" *\n[ \n]*")
_SMALL = frozenset(("a", "an", "and", "at", "by", "for", "in", "of", "on", "the", "to", "with"))


def starts_with_vowel_sound(word: str) -> bool:
    if _SILENT_H.match(word):
        return True
    return word[0] in "aeiouAEIOU" and not _CONSONANT_SOUND.match(word)


def finish(text: str) -> str:
    """``text`` with its articles, spaces and sentence capitals put right."""
    text = _LINE_EDGES.sub("\n", _SPACES.sub(" ", text)).strip()
    text = _NEXT_SPEAKER.sub("”\n", text)
    text = _ARTICLE.sub(_article, text)
    return _SENTENCE_START.sub(lambda m: m[1] + m[2] + m[3].upper(), text)


def _article(match: re.Match[str]) -> str:
    return f"{match[1]}n " if starts_with_vowel_sound(match[2]) else match[0]


def title(text: str) -> str:
    """``text`` in title case: every word but the small ones, and always the first."""
    words = finish(text).split(" ")
    return " ".join(
        word if at and word in _SMALL else word[:1].upper() + word[1:]
        for at, word in enumerate(words)
    )
