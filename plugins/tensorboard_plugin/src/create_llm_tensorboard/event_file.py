"""TensorBoard's event files: records of protocol buffers, appended.

Written with the tensorboard package's own record and message types, not with its EventFileWriter
or torch's SummaryWriter: those go through `tensorboard.compat.tf`, which imports TensorFlow
wherever it is installed (seconds, and on a GPU machine much of the GPU's memory), and they hold
points back for up to two minutes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import (  # type: ignore[import-untyped]
    Event,
    SessionLog,
)
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.plugins.text.summary_v2 import text_pb  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]


class EventFile:
    """A new event file; each point is on its way to the disk when a method returns.

    Args:
        folder: made if it is missing. TensorBoard reads the event files of a folder as one run,
            in the order of their names.
        first_step: where this file takes over: what older ones say about it and later steps is
            void, because these steps are trained again.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"events.out.tfevents.{time.time_ns()}"
        self._records = RecordWriter(path.open("xb"))
        self._append(Event(file_version="brain.Event:2"))
        # In the first file too: TensorBoard takes the second START of a folder for the first
        # restart, and voids nothing at the first one.
        start = SessionLog(status=SessionLog.START)
        self._append(Event(step=first_step, session_log=start))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One point on each curve: tag → value, kept as float32."""
        points = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._append(Event(step=step, summary=Summary(value=points)))

    def text(self, step: int, tag: str, text: str) -> None:
        """A text, shown as it is."""
        self._append(Event(step=step, summary=text_pb(tag, _verbatim(text))))

    def close(self) -> None:
        self._records.close()

    def _append(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
        self._records.flush()


def _verbatim(text: str) -> bytes:
    """Markdown that shows `text`: an indented code block, which no text can end."""
    lines = text.expandtabs(4).splitlines()
    return "\n".join(f"    {line}" for line in lines).encode("utf-8", "replace")
