"""The rules: a sentence in, a question with its answer out, or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest

from create_llm_rules.config import Kind

Pair = tuple[str, str]

BLANK = "____"

_DEFINITION = re.compile(
    r"(?P<subject>(?:(?:The|A|An|Our|His|Her|Their) )?[^\W\d_][\w'’-]*(?: [\w'’-]+){0,5}?)"
    r" (?P<verb>is|are|was|were) (?:an?|the|one of|called|made|known) "
)
# What these stand for is said elsewhere, or nothing is defined.
_NO_SUBJECT = frozenset(
    (
        *("it", "he", "she", "they", "this", "that", "these", "those", "there", "here"),
        *("i", "we", "you", "who", "what", "which", "where", "when", "why", "how"),
        *("if", "but", "and", "so", "as", "no", "not", "one", "all", "some"),
        *("nothing", "everything", "everyone", "nobody", "someone"),
    )
)
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?!\w|[.,]\d)")
_WORD = re.compile(r"[^\W\d_]{4,}(?:['’-][^\W\d_]+)*")
_ARTICLES = ("The ", "A ", "An ", "Our ", "His ", "Her ", "Their ")


def pairs(sentences: Sequence[str], topic: str | None, kinds: Sequence[Kind]) -> Iterator[Pair]:
    """Questions on those sentences that name the topic, the kinds in turn."""
    chosen = [n for n, sentence in enumerate(sentences) if names(sentence, topic)]
    columns = [_of_kind(sentences, chosen, _RULES[kind]) for kind in kinds]
    for row in zip_longest(*columns):
        yield from (pair for pair in row if pair is not None)


def definition(sentence: str, following: str | None) -> Pair | None:
    match = _DEFINITION.match(sentence)
    if not match:
        return None
    subject = match["subject"]
    if any(word.lower() in _NO_SUBJECT for word in subject.split()):
        return None
    within = subject[0].lower() + subject[1:] if subject.startswith(_ARTICLES) else subject
    return f"What {match['verb']} {within}?", sentence


def number(sentence: str, following: str | None) -> Pair | None:
    match = _NUMBER.search(sentence)
    return None if match is None else _missing("number", sentence, match)


def word(sentence: str, following: str | None) -> Pair | None:
    """The first name that is not the first word, or else the longest word."""
    matches = list(_WORD.finditer(sentence))
    names = [each for each in matches if each.start() > 2 and each[0][0].isupper()]
    longest = max(matches, key=lambda match: len(match[0]), default=None)
    match = names[0] if names else longest
    if match is None or sentence.count(match[0]) > 1:
        return None
    return _missing("word", sentence, match)


def what_is_next(sentence: str, following: str | None) -> Pair | None:
    if following is None:
        return None
    return f'What comes after this sentence? "{sentence}"', following


_RULES: Mapping[Kind, Callable[[str, str | None], Pair | None]] = {
    "definition": definition,
    "number": number,
    "word": word,
    "next": what_is_next,
}


def _of_kind(
    sentences: Sequence[str], chosen: Sequence[int], rule: Callable[[str, str | None], Pair | None]
) -> Iterator[Pair]:
    for place in chosen:
        following = sentences[place + 1] if place + 1 < len(sentences) else None
        pair = rule(sentences[place], following)
        if pair is not None:
            yield pair


def names(sentence: str, topic: str | None) -> bool:
    """Whether a sentence is on the topic; on none, each is."""
    return topic is None or topic.casefold() in sentence.casefold()


def _missing(what: str, sentence: str, match: re.Match[str]) -> Pair:
    blanked = f"{sentence[: match.start()]}{BLANK}{sentence[match.end() :]}"
    return f'Which {what} is missing? "{blanked}"', match[0]
