"""One file, whatever its format, as documents and what none can be made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from create_llm.data.documents import Document, Origin, Rejected, Segment
from create_llm.data.source import FileSurvey
from create_llm.data.split import utf8_size
from create_llm_text.compression import Content
from create_llm_text.config import Columns
from create_llm_text.csv_rows import CsvFile
from create_llm_text.documents import META, document_of
from create_llm_text.encodings import Utf8
from create_llm_text.files import DataFile
from create_llm_text.json_rows import read_json, read_on, shape_of
from create_llm_text.parquet_rows import read_parquet
from create_llm_text.pieces import Piece, read_blocks, read_separated
from create_llm_text.questions import is_questions, read_questions
from create_llm_text.rows import Bad, Damaged, Row, RowError, Rows, Unreadable
from create_llm_text.structures import Layout, absent, chosen, detect, otherwise

# What the structure of a file is told from; it is held.
_SAMPLE_ROWS, _SAMPLE_BYTES = 64, 64 << 10
_LARGEST_SEPARATED = 1 << 20
_SHARE_BYTES = 1 << 20
# How far the survey looks for a byte that shows the encoding: 64 MB.
_ENCODING_CHUNKS = 2048
_EMPTY = Bad(1, "the file is empty", "remove it, or copy it again")
_QUESTIONS = Layout(
    "prompt_completion",
    {"prompt": "prompt", "completion": "completion"},
    ("pairs of 'Question: …' and 'Answer: …'",),
)
_PLAIN = Layout("text", {}, ("plain text",))


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read.

    Attributes:
        block: the most bytes that a block of plain text may have.
    """

    block: int
    separator: str | None
    columns: Columns | None


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file whose format is known.

    Attributes:
        rows: None where the file is plain text.
        layout: None where the rows have to tell.
        utf8: None where the format has an encoding of its own.
    """

    format: str
    chunks: Iterable[bytes]
    rows: Rows | None
    layout: Layout | None
    utf8: Utf8 | None
    evidence: tuple[str, ...] = ()


class FileReader:
    """Reads one file; its documents carry `shown` as their origin."""

    def __init__(
        self,
        file: DataFile,
        shown: str,
        reading: Reading,
        others_have_columns: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            others_have_columns: asked where the file lacks some that data.columns names: whether
                there are files that have all of them, so that this one is of another kind.
        """
        self._file, self._shown, self._reading = file, shown, reading
        self._others_have_columns = others_have_columns

    def documents(self) -> Iterator[Document | Rejected]:
        """Every row, or block of text, in order, as a document or a rejection.

        Raises:
            ConfigError: data.columns names a column that no file has.
        """
        line, empty, kept = 1, True, False
        content = Content(self._file.path, self._file.compression)
        try:
            for item in self._items(content):
                line, empty = item.origin.line, False
                kept = kept or isinstance(item, Document)
                yield item
            if content.error is not None:
                raise content.error
            if empty:
                yield self._rejected(_EMPTY)
        except RowError as error:
            told = error.after_documents() if kept and isinstance(error, Damaged) else error
            yield self._rejected(told.at(line))

    def survey(self) -> FileSurvey:
        """What the file is, from its beginning.

        Raises:
            ConfigError: as `documents`.
        """
        kind, structure = self._file.format, None
        try:
            opened = self._open(Content(self._file.path, self._file.compression))
            kind, layout = opened.format, opened.layout or self._layout(_sample(opened))
            structure = layout.structure
            evidence = (*_encoding(opened), *opened.evidence, *layout.evidence)
        except RowError as error:
            evidence = (error.problem,)
        ending = f".{self._file.compression}" if self._file.compression else ""
        return FileSurvey(self._shown, kind + ending, structure, evidence, self._file.size)

    def has_columns(self) -> bool:
        """Whether it has all those that data.columns names."""
        columns = self._reading.columns
        if columns is None or self._file.is_text:
            return False
        try:
            sample = _sample(self._open(Content(self._file.path, self._file.compression)))
        except RowError:
            return False
        return absent([row.value for row in sample if isinstance(row, Row)], columns) is None

    def text_share(self) -> float:
        """UTF-8 bytes of documents for each byte of the file, guessed from its first megabyte.

        Raises:
            ConfigError: as `documents`.
        """
        try:
            opened = self._open(Content(self._file.path, self._file.compression))
            if opened.rows is None:
                return 1.0
            sample = _taken(opened.rows)
            layout = opened.layout or self._layout(sample)
        except RowError:  # none of its bytes will become documents
            return 0.0
        text = size = 0
        for row in chain(sample, opened.rows):
            made = self._made(row, layout)
            text += utf8_size(made.text) if isinstance(made, Document) else 0
            size += row.size if isinstance(row, Row) else 0
            if size > _SHARE_BYTES:
                break
        return text / max(size, 1)

    def _open(self, content: Content) -> _Opened:
        file = self._file
        if file.format == "parquet":
            return _Opened("parquet", (), _to_the_end(read_parquet(file.path)), None, None)
        utf8 = Utf8(content)
        stream = iter(utf8)
        head = next(stream, b"")
        if not head and content.error is not None:
            raise content.error
        chunks = chain([head], stream)
        if file.format == "text":
            if self._reading.separator is None and is_questions(head):
                rows = read_questions(chunks)
                return _Opened("text", chunks, rows, _QUESTIONS, utf8)
            return _Opened("text", chunks, None, _PLAIN, utf8)
        if not head.strip():
            raise RowError(_EMPTY.problem, _EMPTY.suggestion)
        if file.format == "csv":
            csv = CsvFile(chunks)
            table = csv.table()
            rows = csv.rows(table)
            return _Opened("csv", chunks, rows, None, utf8, (table.evidence,))
        head = read_on(head, stream, file.format)
        shape = shape_of(head, file.format)
        rows = read_json(head, stream, shape)
        return _Opened(shape.format, chunks, rows, None, utf8, (shape.evidence,))

    def _items(self, content: Content) -> Iterator[Document | Rejected]:
        opened = self._open(content)
        if opened.rows is None:
            return self._from_text(opened.chunks)
        return self._from_rows(opened.rows, opened.layout)

    def _from_rows(self, rows: Rows, layout: Layout | None) -> Iterator[Document | Rejected]:
        for row in rows:
            if isinstance(row, Bad):
                yield self._rejected(row)
                continue
            if layout is None:
                sample = [row, *_taken(rows)]
                layout = self._layout(sample)
                yield from (self._made(each, layout) for each in sample)
            else:
                yield self._made(row, layout)

    def _from_text(self, chunks: Iterable[bytes]) -> Iterator[Document | Rejected]:
        if self._reading.separator is None:
            pieces = read_blocks(chunks, self._reading.block)
        else:
            pieces = read_separated(chunks, _LARGEST_SEPARATED, self._reading.separator)
        for piece in pieces:
            if isinstance(piece, Piece):
                origin = Origin(self._shown, piece.line)
                yield Document((Segment("text", piece.text),), origin, None, META["text"])
            else:
                yield self._rejected(piece)

    def _layout(self, sample: Sequence[Row | Bad]) -> Layout:
        rows = [row for row in sample if isinstance(row, Row)]
        if not rows:
            first = next(row for row in (*sample, _EMPTY) if isinstance(row, Bad))
            raise RowError(f"none of the first rows can be read: {first.problem}", first.suggestion)
        values = [row.value for row in rows]
        if self._reading.columns is not None:
            missing = absent(values, self._reading.columns)
            if missing is not None and self._others_have_columns():
                return otherwise(values, missing)
            line = 1 if self._file.format == "csv" else rows[0].line
            return chosen(values, self._reading.columns, self._shown, line)
        return detect(values)

    def _made(self, row: Row | Bad, layout: Layout) -> Document | Rejected:
        if isinstance(row, Bad):
            return self._rejected(row)
        try:
            return document_of(row.value, layout, Origin(self._shown, row.line))
        except RowError as error:
            return self._rejected(error.at(row.line))

    def _rejected(self, bad: Bad) -> Rejected:
        return Rejected(Origin(self._shown, bad.line), bad.problem, bad.suggestion)


def _to_the_end(rows: Rows) -> Rows:
    """The rows; what cannot be read after them is told as the last."""
    line = 1
    try:
        for row in rows:
            line = row.line
            yield row
    except Unreadable as error:
        yield error.at(line)


def _taken(rows: Rows) -> list[Row | Bad]:
    """The next rows, few enough to hold."""
    taken, size = list[Row | Bad](), 0
    for row in islice(rows, _SAMPLE_ROWS):
        taken.append(row)
        size += row.size if isinstance(row, Row) else 0
        if size >= _SAMPLE_BYTES:
            break
    return taken


def _sample(opened: _Opened) -> list[Row | Bad]:
    return _taken(opened.rows) if opened.rows is not None else []


def _encoding(opened: _Opened) -> tuple[str, ...]:
    """What speaks for the encoding, looked for far into the file while there is nothing."""
    if opened.utf8 is None:
        return ()
    chunks = iter(opened.chunks)
    for _ in range(_ENCODING_CHUNKS):
        if opened.utf8.decided or next(chunks, None) is None:
            break
    return (opened.utf8.evidence,)
