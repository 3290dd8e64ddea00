"""Why and how a run ends early: signals, control requests, callbacks' signals."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from types import FrameType, TracebackType

from create_llm.runs.control import Control, Request


@dataclass(frozen=True, slots=True)
class Stop:
    """A request to end the run: the status it ends with, and who asked.

    Attributes:
        status: completed, paused or interrupted.
        by: for `stopped_by` in the summary.
        signal_number: of the signal, where one did it.
    """

    status: str
    by: str
    signal_number: int | None = None


class Abandoned(Exception):
    """Raised between the batches of an evaluation when the run has been asked to stop."""


class StopWatch:
    """Collects requests while a run is live; asked between micro-batches.

    The first SIGINT or SIGTERM only sets a flag: the run saves at the next step boundary. The
    second leaves at once, which committed checkpoints survive.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._stop: Stop | None = None
        self._checkpoint = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopWatch:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def poll(self) -> Stop | None:
        """The request to stop, if there is one by now."""
        for request in self._control.pending():
            self._control.answered(request)
            if request is Request.CHECKPOINT:
                self._checkpoint = True
            elif request is Request.PAUSE:
                self.ask(Stop("paused", "request"))
            else:
                self.ask(Stop("interrupted", "request"))
        return self._stop

    def raise_if_stopped(self) -> None:
        if self.poll() is not None:
            raise Abandoned

    def ask(self, stop: Stop) -> None:
        """The first request to stop wins."""
        self._stop = self._stop or stop

    def ask_checkpoint(self) -> None:
        self._checkpoint = True

    def take_checkpoint(self) -> bool:
        """Whether a checkpoint was asked for since the last time this was called."""
        asked, self._checkpoint = self._checkpoint, False
        return asked

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stop is not None:
            os._exit(128 + number)
        self.ask(Stop("interrupted", signal.Signals(number).name, number))
        # Not through the log or a callback: this may stand in the middle of one of their writes.
        os.write(2, b"\nStopping after this step; once more to leave at once.\n")
