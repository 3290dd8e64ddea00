"""A row as a document: which of its values are context, and which the model is to produce."""

from __future__ import annotations

from collections.abc import Mapping

from create_llm.data.documents import Document, Origin, Segment
from create_llm.errors import nearest
from create_llm_text.config import ColumnField as Field
from create_llm_text.messages import is_messages, need_answer, segments_of
from create_llm_text.rows import RowError, clean
from create_llm_text.structures import Layout

_SHOWN = 40

# Shared by all documents of a structure.
META = {
    structure: {"structure": structure}
    for structure in ("text", "instruction", "messages", "preference", "prompt_completion")
}


def document_of(value: object, layout: Layout, origin: Origin) -> Document:
    """The document that a row makes.

    Raises:
        RowError: a value is missing, empty or of the wrong type; says which.
    """
    row = _Fields(value, layout)
    meta = META[layout.structure]
    if layout.structure == "text":
        return Document((Segment("text", row.text("text")),), origin, None, meta)
    if layout.structure == "messages":
        row.need("messages")
        segments = segments_of(row["messages"], row.name("messages"), row.optional("system"))
        need_answer(segments, row.name("messages"))
        return Document(segments, origin, None, meta)
    if layout.structure == "preference":
        kept, worse = _preference(row)
        return Document(kept, origin, worse, meta)
    # A form of OpenAI's begins each completion with a blank; the template brings its own.
    answer = Segment("assistant", row.text("completion").removeprefix(" "))
    return Document((*_question(row), answer), origin, None, meta)


class _Fields:
    """The values of a row by field."""

    def __init__(self, value: object, layout: Layout) -> None:
        self._columns, self._structure = layout.columns, layout.structure
        self._whole = value if not layout.columns else None
        if layout.columns and not isinstance(value, Mapping):
            raise RowError(
                "the row is not an object with columns, as the others are",
                f"give it the columns {', '.join(layout.columns.values())}",
            )
        self._values: Mapping[str, object] = value if isinstance(value, Mapping) else {}

    def __getitem__(self, field: Field) -> object:
        if not self._columns:
            return self._whole if field == self._structure else None
        column = self._columns.get(field)
        return None if column is None else self._values.get(column)

    def name(self, field: Field) -> str:
        return f"'{self._columns[field]}'" if field in self._columns else "the row"

    def need(self, field: Field) -> None:
        """
        Raises:
            RowError: the row has no such column; with the one that may have been meant.
        """
        column = self._columns.get(field)
        if column is None or column in self._values:
            return
        other = next((name for name in self._values if is_messages(self._values[name])), None)
        if other is not None:
            raise RowError(
                f"'{column}' is missing: this row is in another form ('{other[:_SHOWN]}')",
                f"rename it to '{column}', or put such rows into a file of their own",
            )
        near = nearest(column, self._values)
        meant = f"did you mean '{column}' by '{near}'? " if near else ""
        raise RowError(f"'{column}' is missing", f"{meant}fill it in, or remove the row")

    def optional(self, field: Field) -> str:
        """The text of a field that may be missing or blank: then "".

        Raises:
            RowError: it is no text.
        """
        value, name = self[field], self.name(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise RowError(f"{name} is {_kind(value)}, not a text", "put the value into quotes")
        return clean(value, name) if value.strip() else ""

    def text(self, field: Field) -> str:
        """The text of a field.

        Raises:
            RowError: it is missing, blank, or no text.
        """
        text = self.optional(field)
        if not text:
            name = self.name(field)
            column = self._columns.get(field)
            missing = column is not None and self._values.get(column) is None
            what = "is missing" if missing else "is empty"
            raise RowError(f"{name} {what}", "fill it in, or remove the row")
        return text


def _question(row: _Fields) -> list[Segment]:
    """System message and user's turn: instruction, blank line, input."""
    system, parts = row.optional("system"), (row.optional("prompt"), row.optional("input"))
    asked = "\n\n".join(part for part in parts if part)
    if not asked:
        row.text("prompt")
    turns = (Segment("system", system, loss=False), Segment("user", asked, loss=False))
    return [turn for turn in turns if turn.text]


def _preference(row: _Fields) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """Prompt and better answer; the worse answer alone."""
    better, worse = _answer(row, "chosen"), _answer(row, "rejected")
    if better == worse:
        raise RowError("the chosen and the rejected answer are the same", "remove the row")
    shared = 0
    while shared < min(len(better), len(worse)) and better[shared] == worse[shared]:
        shared += 1
    if shared == len(better) or shared == len(worse):
        raise RowError("one answer is the beginning of the other", "remove the row")
    context = [Segment(turn.role, turn.text, loss=False) for turn in better[:shared]]
    if not any(turn.role == "user" for turn in context):
        context = [*_prompt(row), *context]
    for field, answer in (("chosen", better[shared:]), ("rejected", worse[shared:])):
        need_answer(answer, f"the messages of '{field}'")
    return (*context, *better[shared:]), worse[shared:]


def _answer(row: _Fields, field: Field) -> tuple[Segment, ...]:
    if isinstance(row[field], list):
        return segments_of(row[field], row.name(field))
    return (Segment("assistant", row.text(field)),)


def _prompt(row: _Fields) -> list[Segment]:
    """The prompt beside the answers, a text or messages; nothing where there is none."""
    value = row["prompt"]
    if value is None:
        return []
    if isinstance(value, list):
        turns = segments_of(value, row.name("prompt"), row.optional("system"))
        return [Segment(turn.role, turn.text, loss=False) for turn in turns]
    return _question(row)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"
