"""What a run has measured so far, read from its events: the file is followed as it grows.

The numbers of `step` events, which are almost all of a long run, are kept as columns, those of
`eval` events as well; others as they were written. A torn last line is left for the next look; one
that is damaged, or longer than any event, is skipped. Where steps were taken again after a resume,
the higher session counts.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from create_llm.runs.report import is_event
from create_llm_dashboard.columns import Array, Columns
from create_llm_dashboard.index import read_index, write_index
from create_llm_dashboard.lines import blocks, odd_lines

Event = dict[str, Any]

TYPES: Mapping[str, Mapping[str, str]] = {
    "steps": {
        "step": "<i8",
        "loss": "<f4",
        "learning_rate": "<f4",
        "tokens_per_second": "<f4",
        "grad_norm": "<f4",
        "eta_seconds": "<f4",
        "memory_bytes": "<f8",
    },
    "evals": {"step": "<i8", "train_loss": "<f8", "val_loss": "<f8", "val_bits_per_byte": "<f8"},
}
MOST_KEPT = 500
"""Samples, checkpoints, warnings and epochs: the latest so many of each."""
_OTHERS = ("train_start", "sample", "checkpoint", "warning", "epoch_end", "train_end")
_MOST_STEPS = 2**53
"""Of those below, JSON, the page and the columns all mean the same."""
_WORTH_AN_INDEX = 20_000
"""Steps read since the index was last written: fewer are read anew in some milliseconds."""


class _Step(msgspec.Struct, gc=False):
    """Of a `step` event, what becomes columns; the rest is skipped unmade."""

    step: Annotated[int, msgspec.Meta(ge=0, le=_MOST_STEPS)]
    time: str
    session: int
    loss: float | None = None
    learning_rate: float | None = None
    tokens_per_second: float | None = None
    grad_norm: float | None = None
    eta_seconds: float | None = None
    memory_bytes: float | None = None


class History:
    """One run's events; `refresh` reads what has come since the last time.

    Attributes:
        version: rises with each change.
        steps, evals: by rising step.
        went_back: from which step to which, each time that the run went back of itself.
        last_time: of the last event, UTC.
    """

    def __init__(self, events: Path) -> None:
        self._path = events
        self._decoder = msgspec.json.Decoder(_Step)
        self._lock = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._seen: int  # the size of the file when it was read to its end
        self.version = 0
        self._forget()

    def refresh(self, seconds: float = math.inf) -> bool:
        """Read on; a file that is another one now is read anew. Threads may call it together.

        Args:
            seconds: after which the rest is left for the next time.

        Returns:
            Whether all there is has been read.
        """
        with self._lock:
            if not self._path.is_file():
                return True
            found = self._path.stat()
            if self._file != (found.st_dev, found.st_ino) or found.st_size < self._read:
                self._file = (found.st_dev, found.st_ino)
                self._start()
            if found.st_size == self._seen:
                return True
            self._whole = self._read_on(time.monotonic() + seconds)
            self._seen = found.st_size if self._whole else 0
            return self._whole

    def keep(self) -> None:
        """Write the index, if enough has been read since it was written, and to the end."""
        with self._lock:
            unkept = len(self.steps) - self._indexed
            if self._whole and not self._within and unkept > _WORTH_AN_INDEX:
                self._write()

    def events(self, name: str) -> Sequence[Event]:
        """Those of that name, oldest first, as they were written: the latest `MOST_KEPT`."""
        return list(self._others[name])

    def latest(self, name: str) -> Event:
        """The last of that name, or nothing."""
        events = self._others[name]
        return events[-1] if events else {}

    def _forget(self) -> None:
        self.steps, self.evals = Columns(TYPES["steps"]), Columns(TYPES["evals"])
        self._others: dict[str, deque[Event]] = {name: deque(maxlen=MOST_KEPT) for name in _OTHERS}
        self.went_back: list[tuple[int, int]] = []
        self.last_time: datetime | None = None
        self._read, self._indexed = 0, 0
        self._seen = 0
        self._whole, self._within = False, False  # the file to its end; a line that is too long

    def _start(self) -> None:
        self._forget()
        self.version += 1
        try:
            self._recall()
        except Exception:  # whatever a damaged index brings about: the events have it all
            self._forget()

    def _recall(self) -> None:
        """Begin with what the index has."""
        found = read_index(self._path, TYPES)
        if found is None:
            return
        self._read = self._seen = found.read
        self.steps.extend(found.tables["steps"])
        self.evals.extend(found.tables["evals"])
        self._indexed = len(self.steps)
        for name, events in found.others["events"].items():
            self._others[name].extend(events)
        self.went_back = [(int(at), int(to)) for at, to in found.others["went_back"]]
        last = found.others["last"]
        self.last_time = datetime.fromisoformat(last) if last else None

    def _write(self) -> None:
        others = {name: list(events) for name, events in self._others.items()}
        last = self.last_time and self.last_time.isoformat()
        tables = {"steps": self.steps, "evals": self.evals}
        rest = {"events": others, "went_back": self.went_back, "last": last}
        write_index(self._path, self._read, tables, rest)
        self._indexed = len(self.steps)

    def _read_on(self, deadline: float) -> bool:
        """Whether the end was reached before the deadline."""
        for block in blocks(self._path, self._read):
            self._read += len(block)
            if self._within:
                self._add_lines(block.partition(b"\n")[2])
            elif block.endswith(b"\n"):
                self._add_lines(block)
            self._within = not block.endswith(b"\n")
            self.version += 1
            if time.monotonic() > deadline:
                return False
        return True

    def _add_lines(self, block: bytes) -> None:
        done = 0
        for start in odd_lines(block):
            self._add_steps(block[done:start])
            done = block.index(b"\n", start) + 1
            self._add(block[start:done])
        self._add_steps(block[done:])

    def _add_steps(self, lines: bytes) -> None:
        if not lines:
            return
        try:
            steps = self._decoder.decode_lines(lines)
        except (msgspec.DecodeError, UnicodeDecodeError):
            decoded = map(self._decoded, lines.splitlines())
            steps = [step for step in decoded if step is not None]
        if steps:
            self.steps.extend({name: _column(steps, name) for name in TYPES["steps"]})
            self.last_time = _time(steps[-1].time) or self.last_time

    def _decoded(self, line: bytes) -> _Step | None:
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _add(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not is_event(event) or not _is_sound(event):
            return
        name = event["event"]
        if name == "train_start":
            self._go_on_from(event.get("resumed_from") or 0)
        if name == "step":
            self._add_steps(line)
        elif name == "eval":
            self.evals.extend({field: [_number(event.get(field))] for field in TYPES["evals"]})
        elif name in self._others:
            self._others[name].append(event)
        self.last_time = _time(event["time"])

    def _go_on_from(self, step: int) -> None:
        """Later steps are taken again: what was told of them is void, but for warnings."""
        ended = self.latest("train_end")
        if ended.get("status") == "rewound" and step < ended["step"]:
            self.went_back.append((ended["step"], step))
        self.steps.cut(step)
        self.evals.cut(step)
        for name in ("sample", "checkpoint", "epoch_end"):
            kept = [event for event in self._others[name] if event["step"] <= step]
            self._others[name] = deque(kept, maxlen=MOST_KEPT)
        self._others["train_end"].clear()


def _column(steps: Sequence[_Step], name: str) -> Array:
    values = map(attrgetter(name), steps)
    if name == "step":
        return np.fromiter(values, np.int64, len(steps))
    try:
        return np.fromiter(values, np.float64, len(steps))
    except TypeError:  # None, which stands for what is not finite: NaN
        return np.array([getattr(step, name) for step in steps], np.float64)


def _is_sound(event: Event) -> bool:
    """Whether its name and its steps are what they should be; the rest is for the panels."""
    steps = (event["step"], event.get("resumed_from") or 0)
    whole = all(isinstance(step, int) and 0 <= step <= _MOST_STEPS for step in steps)
    return whole and isinstance(event["event"], str)


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # an integer of hundreds of digits
        return math.nan


def _time(text: str) -> datetime | None:
    """With its zone; None for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
