"""What every document must be, whoever makes it."""

from __future__ import annotations

from create_llm.data.documents import Document, Origin, Segment


def check_document(document: object) -> None:
    """Fail unless this is a document as core uses it: segments of text, and where it is from."""
    assert isinstance(document, Document), f"not a Document: {document!r}"
    assert document.segments, "a document without segments"
    for segment in (*document.segments, *(document.rejected or ())):
        assert isinstance(segment, Segment), f"not a Segment: {segment!r}"
        assert isinstance(segment.text, str), f"text is {type(segment.text).__name__}, not str"
        assert segment.role, "a segment without a role"
    assert isinstance(document.origin, Origin), f"not an Origin: {document.origin!r}"
    assert document.origin.path, "an origin without a path"
    assert document.origin.line >= 1, f"lines count from 1, got {document.origin.line}"
