"""Documents as rows of JSON lines, in the forms that data sources recognise by their columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from create_llm.data.documents import Document, Segment
from create_llm.data.synthesis.asking import question_of

_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_BLANKS = re.compile(r"\s+")
_AROUND = " ?!.…¿¡\"'"


def problem_of(document: Document) -> str | None:
    """What is wrong with a document that a synthesizer has made; None for one to keep."""
    if document.rejected is not None:
        return "it states a preference, which is not written"
    if not document.segments or not document.text.strip():
        return "it holds no text"
    if any(_UNUSABLE.search(segment.text) for segment in document.segments):
        return "it holds NUL or half a surrogate pair, which are no characters"
    if is_plain(document):
        return None
    if not all(segment.text.strip() for segment in document.segments):
        return "one of its turns is empty"
    if not any(segment.loss and segment.role == "assistant" for segment in document.segments):
        return "it holds no answer to learn"
    return None


def is_plain(document: Document) -> bool:
    return all(segment.role == "text" for segment in document.segments)


def row_of(document: Document, provenance: Mapping[str, str]) -> str:
    """A line: `text` or `messages`, and `provenance`, which sources pass over."""
    if is_plain(document):
        content: dict[str, object] = {"text": document.text.strip()}
    else:
        content = {"messages": [_message(segment) for segment in document.segments]}
    return json.dumps({**content, "provenance": dict(provenance)}, ensure_ascii=False)


def _message(segment: Segment) -> dict[str, object]:
    message: dict[str, object] = {"role": segment.role, "content": segment.text.strip()}
    return {**message, "weight": 0} if segment.role == "assistant" and not segment.loss else message


def likeness(question: str) -> str:
    """What two questions have in common that are the same to a reader: case, blanks and the
    punctuation around them aside."""
    return _BLANKS.sub(" ", question).strip(_AROUND).casefold() or question


def likeness_of(document: Document) -> str:
    return likeness(question_of(document))


def words_in(row: str) -> int:
    """How many words a row of ours holds, provenance aside."""
    held = json.loads(row)
    texts = [message["content"] for message in held.get("messages", ())] or [held["text"]]
    return sum(len(text.split()) for text in texts)


def questions_in(lines: Iterable[str]) -> Iterator[str]:
    """The `question_of` each row of ours; what somebody broke is passed over."""
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield _question_in(row)


def _question_in(row: Mapping[str, object]) -> str:
    messages = row.get("messages")
    if not isinstance(messages, list):
        return str(row.get("text", ""))
    asked = [m for m in messages if isinstance(m, dict) and m.get("role") == "user"]
    return "\n".join(str(message.get("content", "")) for message in asked)


def written_questions(raw: Path) -> Iterator[str]:
    """The questions of all synthetic files in a folder."""
    for path in sorted(raw.glob("synthetic-*.jsonl")):
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from questions_in(file)
