"""Why and how a run ends early: signals, control requests, callbacks' signals."""

from __future__ import annotations

import signal
import time
from collections.abc import Set
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from create_llm import interrupts
from create_llm.runs.control import Control, Request
from create_llm.training.callbacks import Answer, Pause, Retry, Signal

# A closing terminal and service managers send two signals at once, wrappers pass on a Ctrl-C that
# has come already: nobody who means a second one is that fast.
_SAME_SECONDS = 0.2

_AFTER_STEP = "Stopping after this step; once more to leave at once."
_FINISHING = "The training is over and is being written down; once more to leave at once."


@dataclass(frozen=True, slots=True)
class Stop:
    """A request to end the run: the status it ends with, and who asked.

    Attributes:
        status: completed, paused or interrupted; rewound: only this session ends.
        by: for `stopped_by` in the summary.
        signal_number: of the signal, where one did it.
        retry: how the run goes on, where it was rewound.
        pause: why it was paused, where a callback gave a reason.
    """

    status: str
    by: str
    signal_number: int | None = None
    retry: Retry | None = None
    pause: Pause | None = None


class Abandoned(Exception):
    """Raised between the parts of what can be given up when the run has been asked to stop."""


class StopWatch:
    """Collects requests while a run is live, in all of its sessions; asked between micro-batches.

    From `listen` on signals are requests too, until the end of its `with`. The first one only sets
    a flag: the run saves at the next step boundary. The second leaves at once, which committed
    checkpoints survive.

    Args:
        heeding: whether callbacks may end the run, or send it back.

    Attributes:
        going_back: whether a callback has asked for that, also where somebody then asked for
            another end: what there is now is to be left, and not to be saved.
    """

    def __init__(self, control: Control, *, heeding: bool = True) -> None:
        self._control, self._heeding = control, heeding
        self.going_back = False
        self._stop: Stop | None = None
        self._checkpoint = False
        self._signalled: float | None = None
        self._words = _AFTER_STEP
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopWatch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        interrupts.give_back(self._previous)

    def listen(self) -> None:
        if not self._previous:
            self._previous = interrupts.take_over(self._on_signal)

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
        """The first request to stop wins, and any wins over going on in another way."""
        self.going_back = self.going_back or stop.retry is not None
        if self._stop is None or (self._stop.retry is not None and stop.retry is None):
            self._stop = stop

    def hear(self, answers: Set[Answer], step: int) -> None:
        """Remember what callbacks ask for after `step` steps: of several ends the mildest."""
        self._checkpoint = self._checkpoint or Signal.CHECKPOINT in answers
        if not self._heeding:
            return
        for pause in (answer for answer in answers if isinstance(answer, Pause)):
            self.ask(Stop("paused", "callback", pause=pause))
        if Signal.PAUSE in answers:
            self.ask(Stop("paused", "callback"))
        if Signal.STOP in answers:
            # Before the first step there is no model that could complete the run.
            self.ask(Stop("completed" if step else "interrupted", "callback"))
        for retry in (answer for answer in answers if isinstance(answer, Retry)):
            self.ask(Stop("rewound", "callback", retry=retry))

    def take_checkpoint(self) -> bool:
        """Whether a checkpoint was asked for since the last time this was called."""
        asked, self._checkpoint = self._checkpoint, False
        return asked

    def gone_back(self) -> None:
        """What a callback asked for is done; any other end, come since, is for the next session."""
        self.going_back = False
        if self._stop is not None and self._stop.retry is not None:
            self._stop = None

    def finishing(self) -> None:
        """No more steps are taken: a signal does not keep the rest from being written."""
        self._words = _FINISHING

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == getattr(signal, "SIGHUP", None):
            interrupts.hang_up()
        now = time.monotonic()
        if self._signalled is None:
            self._signalled = now
            self.ask(Stop("interrupted", signal.Signals(number).name, number))
            interrupts.say(self._words)
        elif now - self._signalled > _SAME_SECONDS:
            interrupts.leave(number)
