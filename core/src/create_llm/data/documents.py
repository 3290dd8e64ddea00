"""The document: what data sources yield and everything else is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text with one role.

    Attributes:
        role: "text" for plain text; "system", "user" or "assistant" in a conversation.
        text: the text itself.
        loss: whether the model is trained to produce it.
    """

    role: str
    text: str
    loss: bool = True


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document came from: a path (or `source:name`) and its first line, from 1."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Rejected:
    """What no document can be made of: a row, a line, a whole file. Told, never dropped.

    Attributes:
        problem: what is wrong with it, in plain words.
        suggestion: what to do about it.
    """

    origin: Origin
    problem: str
    suggestion: str


@dataclass(frozen=True, slots=True)
class Document:
    """One document.

    Attributes:
        segments: in order; plain text has one.
        origin: for messages about this document.
        rejected: the worse alternative, where the data states a preference.
        meta: whatever else the source knows, as text.
    """

    segments: tuple[Segment, ...]
    origin: Origin
    rejected: tuple[Segment, ...] | None = None
    meta: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def plain(cls, text: str, origin: Origin) -> Document:
        """A plain-text document."""
        return cls((Segment("text", text),), origin)

    @property
    def text(self) -> str:
        """All segments, joined."""
        return "".join(segment.text for segment in self.segments)
