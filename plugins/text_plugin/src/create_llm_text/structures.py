"""What the rows of a file are: found from the names of their columns and their first values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from create_llm.errors import ConfigError, did_you_mean
from create_llm_text.config import ColumnField as Field
from create_llm_text.config import Columns
from create_llm_text.messages import is_messages
from create_llm_text.rows import RowError

Structure = Literal["text", "instruction", "messages", "preference", "prompt_completion"]

_MESSAGES = ("messages", "conversations", "conversation", "chat", "dialogue", "dialog", "turns")
_ANSWERS = (
    *("output", "completion", "response", "answer", "target", "assistant", "solution"),
    *("answers", "a"),
)
_QUESTIONS = ("prompt", "question", "query", "problem", "user", "input", "q")
_TEXTS = ("text", "content", "body", "document", "article", "story", "passage", "sentence")
_NAMES: tuple[tuple[Structure, dict[Field, tuple[str, ...]]], ...] = (
    ("preference", {"chosen": ("chosen", "preferred"), "rejected": ("rejected", "dispreferred")}),
    ("messages", {"messages": _MESSAGES}),
    ("instruction", {"prompt": ("instruction", "instructions"), "completion": _ANSWERS}),
    ("prompt_completion", {"prompt": _QUESTIONS, "completion": _ANSWERS}),
    ("text", {"text": _TEXTS}),
)
_OPTIONAL: dict[Structure, dict[Field, tuple[str, ...]]] = {
    "preference": {"prompt": ("prompt", "question", "instruction", "query", "input")},
    "instruction": {"input": ("input", "context")},
}
_SYSTEM = ("system", "system_prompt")


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows become documents.

    Attributes:
        columns: field → name of its column; none for rows that are a text or a conversation.
        evidence: why, one reason a line.
    """

    structure: Structure
    columns: Mapping[Field, str]
    evidence: tuple[str, ...]


def detect(values: Sequence[object]) -> Layout:
    """The layout of a file whose first rows are these.

    Raises:
        RowError: nothing that is known fits.
    """
    tables = [value for value in values if isinstance(value, Mapping)]
    if len(tables) * 2 <= len(values):
        return _without_columns(values)
    present = _columns_of(tables)
    for structure, needed in _NAMES:
        columns = _found(needed, present)
        if columns is not None and _fits(structure, columns, tables):
            columns.update(_found_optional(structure, present, columns))
            return Layout(structure, columns, _evidence(columns, present))
    return _only_text(tables, present)


def absent(values: Sequence[object], wanted: Columns) -> str | None:
    """The first of the columns that the configuration declares and a file does not have."""
    present = _columns_of([value for value in values if isinstance(value, Mapping)])
    return next((name for name in wanted.named().values() if name not in present), None)


def otherwise(values: Sequence[object], missing: str) -> Layout:
    """The layout of a file that lacks a declared column, beside files that have it.

    Raises:
        RowError: nothing that is known fits.
    """
    found = detect(values)
    why = f"without '{missing}', which data.columns names; told by its own columns"
    return replace(found, evidence=(why, *found.evidence))


def chosen(values: Sequence[object], wanted: Columns, name: str, line: int) -> Layout:
    """The layout that the configuration declares for a file.

    Args:
        line: where its columns are first named.

    Raises:
        ConfigError: the file has no such column.
        RowError: its rows have no columns at all.
    """
    present = _columns_of([value for value in values if isinstance(value, Mapping)])
    if not present:
        raise RowError(
            "the rows have no columns", "remove data.columns, or give each row names: objects"
        )
    columns = wanted.named()
    for field, column in columns.items():
        if column not in present:
            raise ConfigError(
                f"data.columns.{field} names '{column}', which is no column of {name}",
                where=f"{name}:{line}",
                fixes=(
                    *did_you_mean(column, present),
                    f"its columns: {', '.join(present)}",
                    "for each kind of file its own train_path and columns: [data.mix.NAME]",
                ),
            )
    return Layout(_structure(columns), columns, ("as data.columns says",))


def _structure(columns: Mapping[Field, str]) -> Structure:
    if "chosen" in columns:
        return "preference"
    if "messages" in columns:
        return "messages"
    return "prompt_completion" if "prompt" in columns else "text"


def _columns_of(tables: Iterable[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(column for table in tables for column in table))


def _found(
    needed: Mapping[Field, Sequence[str]], present: Iterable[str]
) -> dict[Field, str] | None:
    """The column of each field; None unless all are there. Case and blanks do not matter."""
    known = {column.strip().lower().replace(" ", "_"): column for column in present}
    columns: dict[Field, str] = {}
    for field, names in needed.items():
        free = (known[name] for name in names if name in known)
        column = next((each for each in free if each not in columns.values()), None)
        if column is None:
            return None
        columns[field] = column
    return columns


def _found_optional(
    structure: Structure, present: Sequence[str], taken: Mapping[Field, str]
) -> dict[Field, str]:
    names = dict(_OPTIONAL.get(structure, {}))
    if structure != "text":
        names["system"] = _SYSTEM
    free = [column for column in present if column not in taken.values()]
    found: dict[Field, str] = {}
    for field, choices in names.items():
        found.update(_found({field: choices}, free) or {})
    return found


def _fits(
    structure: Structure, columns: Mapping[Field, str], tables: Sequence[Mapping[str, object]]
) -> bool:
    """Whether the values are of the kind that the names promise, in most rows that have any."""

    def right(field: Field, value: object) -> bool:
        if field == "messages":
            return is_messages(value)
        return isinstance(value, str) or (structure == "preference" and is_messages(value))

    for field, column in columns.items():
        values = [table[column] for table in tables if table.get(column) is not None]
        if sum(right(field, value) for value in values) * 2 < len(values):
            return False
    return True


def _evidence(columns: Mapping[Field, str], present: Sequence[str]) -> tuple[str, ...]:
    used = ", ".join(f"'{column}'" for column in columns.values())
    unused = [column for column in present if column not in columns.values()]
    first = f"column{'s' if len(columns) > 1 else ''} {used}"
    return (first, f"not used: {', '.join(unused)}") if unused else (first,)


def _without_columns(values: Sequence[object]) -> Layout:
    kinds = Counter(
        "text" if isinstance(value, str) else "messages" if is_messages(value) else "other"
        for value in values
    )
    if kinds["text"] * 2 > len(values):
        return Layout("text", {}, ("each row is a string",))
    if kinds["messages"] * 2 > len(values):
        return Layout("messages", {}, ("each row is a list of messages",))
    raise RowError(
        "the rows are neither objects nor strings",
        'write each row as an object, such as {"text": "…"}',
    )


def _only_text(tables: Sequence[Mapping[str, object]], present: Sequence[str]) -> Layout:
    """The one column of text, whatever it is called."""
    texts = [column for column in present if _is_text(column, tables)]
    if len(texts) == 1:
        _refuse_nested(texts[0], tables, present)
        unused = [column for column in present if column not in texts]
        why = f"'{texts[0]}' is the only column of text"
        more = (f"not used: {', '.join(unused)}",) if unused else ()
        return Layout("text", {"text": texts[0]}, (why, *more))
    shown = ", ".join(present[:12]) + (" …" if len(present) > 12 else "")
    example = 'such as [data] columns = { text = "' + (texts or present or ["…"])[0] + '" }'
    raise RowError(
        f"it cannot be told what its columns are: {shown}",
        f"say which column is what in llm.toml, {example}",
    )


def _refuse_nested(
    text: str, tables: Sequence[Mapping[str, object]], present: Sequence[str]
) -> None:
    """Raise RowError where the one column of text is but the title of what lies deeper."""
    sizes = {name: sum(_characters(table.get(name)) for table in tables) for name in present}
    largest = max(sizes, key=lambda name: sizes[name])
    if largest != text and sizes[largest] * 2 > sum(sizes.values()):
        raise RowError(
            f"most of the text is in lists or objects under '{largest}'; '{text}' is the only "
            "column of text",
            f"write each of what '{largest}' holds as a row of its own; or, to learn only "
            f"'{text}', set [data] columns = {{ text = \"{text}\" }} in llm.toml",
        )


def _characters(value: object) -> int:
    """The length of all texts in a value of a row."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return sum(map(_characters, value))
    return len(value) if isinstance(value, str) else 0


def _is_text(column: str, tables: Sequence[Mapping[str, object]]) -> bool:
    values = [table[column] for table in tables if table.get(column) not in (None, "")]
    texts = [value for value in values if isinstance(value, str) and not _is_number(value)]
    return len(texts) * 2 > len(values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
