"""Rows of .csv and .tsv files."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from create_llm_text.json_values import decoded
from create_llm_text.lines import read_lines
from create_llm_text.rows import LARGEST_ROW, Bad, Row, RowError, Rows, too_long

_INDEX = ""  # as pandas names the column of row numbers that it writes first
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LONGEST_NAME = 64
_LINE_COST = 200  # bytes, about, that a line takes in memory beside its own
# The module's own limit of 128 KB is for the whole process and below what a row may have here.
csv.field_size_limit(max(csv.field_size_limit(), LARGEST_ROW))


@dataclass(frozen=True, slots=True)
class Table:
    """The first row of a file, which names its columns, and how its fields are divided."""

    columns: tuple[str, ...]
    delimiter: str

    @property
    def evidence(self) -> str:
        named = ", ".join(name for name in self.columns if name)
        index = "" if all(self.columns) else " after one without a name, which is not used"
        return f"columns {named}{index}; fields divided by {_DELIMITERS[self.delimiter]}"


class CsvFile:
    """A file of rows; its first line names the columns.

    Fields may be quoted and then hold line ends. A row whose quotes are wrong, which may seem to
    go on to the end of the file, is given up alone: reading goes on in the line after its first.
    """

    def __init__(self, chunks: Iterable[bytes], limit: int = LARGEST_ROW) -> None:
        self._lines = read_lines(chunks, limit)
        self._limit = limit
        self._again: deque[tuple[int, bytes | None]] = deque()  # lines given back

    def table(self) -> Table:
        """The columns; to be called first.

        Raises:
            RowError: the first row names no columns.
        """
        first = next(self._lines, (1, b""))
        self._again.append(first)
        delimiter = _delimiter(decoded(first[1] or b""))
        row = next(self._records(delimiter))
        if isinstance(row, Bad):
            raise RowError(row.problem, row.suggestion)
        names = tuple(name.strip() for name in row.fields)
        _check_names(names)
        return Table(names, delimiter)

    def rows(self, table: Table) -> Rows:
        for record in self._records(table.delimiter):
            if isinstance(record, Bad):
                yield record
            elif len(record.fields) == len(table.columns):
                values = dict(zip(table.columns, record.fields, strict=True))
                values.pop(_INDEX, None)
                yield Row(record.line, record.size, values)
            elif record.fields:
                yield Bad(record.line, *_wrong_count(record.fields, table))

    def _records(self, delimiter: str) -> Iterator[_Record | Bad]:
        while True:
            taken: list[tuple[int, bytes | None]] = []
            reader = csv.reader(self._texts(taken), delimiter=delimiter, strict=True)
            try:
                fields = next(reader, None)
            except (csv.Error, RowError) as error:
                self._again.extendleft(reversed(taken[1:]))
                yield _explained(error).at(taken[0][0])
                continue
            if fields is None:
                return
            yield _Record(taken[0][0], sum(len(line or b"") for _, line in taken), fields)

    def _texts(self, taken: list[tuple[int, bytes | None]]) -> Iterator[str]:
        """Lines for one row, for as long as its quotes are open."""
        size = 0
        while (line := self._next()) is not None:
            taken.append(line)
            size += len(line[1] or b"") + _LINE_COST
            if line[1] is None:
                raise too_long()
            if size > self._limit + _LINE_COST:
                raise _unclosed(len(taken))
            yield decoded(line[1]) + "\n"

    def _next(self) -> tuple[int, bytes | None] | None:
        return self._again.popleft() if self._again else next(self._lines, None)


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    size: int
    fields: list[str]


def _delimiter(header: str) -> str:
    """What divides most names in the first line; a comma where nothing does."""
    return max(_DELIMITERS, key=lambda sign: len(_fields(header, sign)))


def _fields(line: str, delimiter: str) -> list[str]:
    """
    Raises:
        RowError: a carriage return stands within the line.
    """
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise _explained(error) from error


def _check_names(names: Sequence[str]) -> None:
    fix = "write the names of the columns into the first line, such as: question,answer"
    for name in names[1:] if len(names) > 1 and names[0] == _INDEX else names:
        if not name or len(name) > _LONGEST_NAME or name.replace(".", "").isdigit():
            shown = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…"
            raise RowError(f"the first line names no columns: '{shown}' is no name", fix)
    if len(set(names)) < len(names):
        raise RowError("the first line names two columns alike", fix)


def _wrong_count(fields: Sequence[str], table: Table) -> tuple[str, str]:
    wanted = len(table.columns)
    return (
        f"{_counted(len(fields), 'field')}, where the first line names "
        f"{_counted(wanted, 'column')}",
        f'put a field that holds {_DELIMITERS[table.delimiter]} or line ends into quotes: "…"',
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _unclosed(lines: int) -> RowError:
    return RowError(
        f"a quote is opened and not closed in {lines:,} lines", 'close it, or write "" for a quote'
    )


def _explained(error: csv.Error | RowError) -> RowError:
    if isinstance(error, RowError):
        return error
    what = str(error)
    if what == "unexpected end of data":
        return RowError("a quote is opened and never closed", 'close it, or write "" for a quote')
    if "expected after" in what:
        return RowError("a quote stands within a quoted field", 'write it twice: ""')
    return RowError(f"not CSV: {what}", "put the field into quotes")
