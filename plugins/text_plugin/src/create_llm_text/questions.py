"""`Question: … Answer: …` texts: each pair a question and the answer to learn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from create_llm_text.json_values import decoded
from create_llm_text.lines import read_lines
from create_llm_text.rows import Row, RowError, Rows, too_long

_LONGEST = 1 << 20  # of a pair, in bytes
_SOME = 2  # pairs that tell such a text from one that happens to begin with the word
_BEGINS = re.compile(rb"\s*(?:question|q)\s*:", re.IGNORECASE)
_PAIR = re.compile(
    r"\s*(?:question|q)\s*:(?P<prompt>.*?)(?:^|(?<=\s))(?:answer|a)\s*:(?P<completion>.*)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)


def is_questions(head: bytes) -> bool:
    """Whether a file that begins so consists of questions with their answers."""
    if not _BEGINS.match(head):
        return False
    pairs = [pair for _, _, pair in _pairs([head]) if pair is not None]
    whole = pairs[:-1] if len(pairs) > _SOME else pairs  # the last may be cut off
    answered = sum(bool(_PAIR.match(pair.decode("utf-8", "replace"))) for pair in whole)
    return len(whole) >= _SOME and answered == len(whole)


def read_questions(chunks: Iterable[bytes]) -> Rows:
    """The pairs as rows with the columns `prompt` and `completion`."""
    for line, size, data in _pairs(chunks):
        try:
            if data is None:
                raise too_long()
            yield Row(line, size, _fields(decoded(data)))
        except RowError as error:
            yield error.at(line)


def _fields(text: str) -> dict[str, str]:
    match = _PAIR.match(text)
    if match is None:
        raise RowError("a question without an answer", "write a line 'Answer: …' below it")
    return {name: value.strip() for name, value in match.groupdict().items()}


def _pairs(chunks: Iterable[bytes]) -> Iterator[tuple[int, int, bytes | None]]:
    """First line, size and content of what begins with a question; None where it is too long."""
    first, size, held = 1, 0, list[bytes]()
    for number, line in read_lines(chunks, _LONGEST):
        if line is None or _BEGINS.match(line):
            if _is_something(held, size):
                yield first, size, b"\n".join(held) if size <= _LONGEST else None
            first, size, held = number, 0, []
        size += _LONGEST + 1 if line is None else len(line) + 1
        if size <= _LONGEST:
            held.append(line or b"")
    if _is_something(held, size):
        yield first, size, b"\n".join(held) if size <= _LONGEST else None


def _is_something(held: list[bytes], size: int) -> bool:
    return size > _LONGEST or any(line.strip() for line in held)
