"""What a run measured before this session, read from its events, so that rules go on from there."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from create_llm.runs.events import EvalEnd, Event, StepEnd, read_events
from create_llm.runs.report import is_event

_KINDS: dict[str, type[Event]] = {kind.name: kind for kind in (StepEnd, EvalEnd)}


def measured(events: Path, until: int) -> list[Event]:
    """Of the run as it stands, up to a step; without what was left behind when it went back."""
    return list(as_it_stands(read_events(events), until)) if events.is_file() else []


def as_it_stands(lines: Iterable[dict[str, Any]], until: int) -> Iterator[Event]:
    kept: list[Event] = []
    for line in filter(is_event, lines):
        if line["event"] == "train_start":
            resumed = line.get("resumed_from") or 0
            kept = [event for event in kept if event.step <= resumed]
        elif line["event"] in _KINDS:
            made = _event(_KINDS[line["event"]], line)
            kept.extend([made] if made is not None else [])
    return (event for event in kept if event.step <= until)


def _event(kind: type[Event], line: dict[str, Any]) -> Event | None:
    """None for one of an older version that lacks a field."""
    fields = dataclasses.fields(kind)
    bad = math.nan if line.get("nonfinite") else None
    values = {each.name: line[each.name] for each in fields if each.name in line}
    needed = [each.name for each in fields if each.default is dataclasses.MISSING]
    if any(name not in values for name in needed):
        return None
    given: dict[str, Any] = {name: bad if v is None else v for name, v in values.items()}
    return kind(**given)
