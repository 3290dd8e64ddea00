"""The row: what files of rows yield, whatever their format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# A row is held whole, so its size bounds the memory; the longest documents of public corpora
# (books) are some megabytes.
LARGEST_ROW = 64 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """A row as Python values.

    Attributes:
        line: where it begins in its file, from 1.
        size: its bytes in the file.
    """

    line: int
    size: int
    value: object


@dataclass(frozen=True, slots=True)
class Bad:
    """A row, or a stretch of text, that cannot be used."""

    line: int
    problem: str
    suggestion: str


Rows = Iterator[Row | Bad]


class RowError(Exception):
    """Why no document can be made of a row; the reader of the file knows where it stands."""

    def __init__(self, problem: str, suggestion: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.suggestion = suggestion

    def at(self, line: int) -> Bad:
        return Bad(line, self.problem, self.suggestion)


class Unreadable(RowError):
    """Why a file cannot be read, or not any further."""


class Damaged(Unreadable):
    """The data is not whole; what came before that place is."""

    def after_documents(self) -> Damaged:
        """The same of a file that documents were made of before."""
        return Damaged(
            self.problem, f"{self.suggestion}; what could be read before this place is used"
        )


def too_long() -> RowError:
    return RowError(
        f"the row is longer than {LARGEST_ROW >> 20} MB",
        "divide it into several rows, or put the text into a .txt file, which may be of any size",
    )


def clean(text: str, where: str) -> str:
    """The text itself, if a tokenizer can take it.

    A lone surrogate is no character (UTF-8 has no form for it) and NUL is never text; both come
    from a program that went wrong, so that the row is better looked at than silently repaired.

    Raises:
        RowError: it holds a lone surrogate or NUL.
    """
    if "\0" in text:
        raise RowError(f"{where} holds a NUL character", "remove the NUL, or the row")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RowError(
            f"{where} holds half a surrogate pair, \\u{ord(text[error.start]):04x}, "
            "which is no character",
            "write the character itself in UTF-8 (an emoji that was cut in two?), "
            "or remove the row",
        ) from error
    return text
