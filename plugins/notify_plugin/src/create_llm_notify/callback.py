"""The callback `notify`: how far a run is and how it ended, for whoever does other things."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from create_llm.interrupts import Signalled
from create_llm.runs.events import EvalEnd, Event, ProgressMade, StepEnd, TrainEnd, TrainStart
from create_llm.training.callbacks import Callback, Warn
from create_llm_notify import words
from create_llm_notify.config import NotifyConfig
from create_llm_notify.desktop import Desktop, why_quiet
from create_llm_notify.notes import Notes, ahead
from create_llm_notify.outbox import Outbox
from create_llm_notify.terminal import Terminal, abilities
from create_llm_notify.words import Figures, Message, one_line

_BY_HAND = (KeyboardInterrupt.__name__, Signalled.__name__)


class Notify(Callback):
    """Notifies at milestones and at the end; nothing it does waits, and nothing of it raises."""

    def __init__(self, config: NotifyConfig) -> None:
        self._config = config
        self._run: TrainStart | None = None
        self._figures = Figures()
        self._milestones: list[tuple[int, int]] = []
        self._outbox: Outbox | None = None
        self._terminal: Terminal | None = None
        self._quiet: str | None = None
        self._said = False

    def on_train_start(self, event: TrainStart) -> Warn | None:
        self._leave()  # a start without an end
        self._run, self._figures = event, Figures()
        self._said = event.remedies > 0
        notes = Notes(Path(event.folder))
        self._milestones = ahead(self._config.milestones, event, notes.told_until())
        quiet = why_quiet(os.environ, sys.platform)
        if quiet is None:
            desktop = Desktop(sound=self._config.sound)
            self._outbox = Outbox(desktop, notes.told, partial(self._will_be_quiet, notes))
        else:
            self._will_be_quiet(notes, quiet)
        # Not sys.stderr: a live display puts a filter there that leaves the codes out.
        if self._config.title and sys.__stderr__ is not None:
            able = abilities(sys.__stderr__, os.environ)
            self._terminal = Terminal(sys.__stderr__, able)
        self._moved(event)
        return self._note()

    def on_step_end(self, event: StepEnd) -> Warn | None:
        self._figures.step, self._figures.eta_seconds = event, event.eta_seconds
        self._moved(event)
        return self._note()

    def on_progress(self, event: ProgressMade) -> None:
        self._figures.eta_seconds = event.eta_seconds
        self._moved(event)

    def on_eval_end(self, event: EvalEnd) -> None:
        self._figures.eval = event

    def on_train_end(self, event: TrainEnd) -> None:
        if self._run and self._outbox:
            message = self._last(self._run, event)
            if message:
                self._outbox.put(message)
        self._leave()

    def _will_be_quiet(self, notes: Notes, why: str) -> None:
        """May be called in the outbox's thread, where a run cannot be told of it."""
        self._quiet = why
        notes.quiet(why)

    def _note(self) -> Warn | None:
        """Once, and not again where the run has gone back: why nothing will be seen."""
        if self._quiet is None or self._said:
            return None
        self._said = True
        return Warn(f"no desktop notifications: {one_line(self._quiet)}", level="note")

    def _moved(self, event: Event) -> None:
        """Show where the run is; of several milestones that a step passed, tell the last."""
        run, passed = self._run, 0
        if run is None:
            return
        while self._milestones and self._milestones[0][0] <= event.step:
            passed = self._milestones.pop(0)[1]
        if passed and self._outbox:
            self._outbox.put(words.milestone(run, passed, event.step, self._figures))
        if self._terminal:
            percent = 100 * event.step // run.total_steps if run.total_steps else 100
            self._terminal.show(min(percent, 100), run.run)

    def _last(self, run: TrainStart, event: TrainEnd) -> Message | None:
        """None where a person has just ended the run, or where it goes on at once."""
        if event.status in ("interrupted", "rewound") or event.stopped_by in _BY_HAND:
            return None
        if event.status != "completed":
            return words.ending(run, event)
        return words.completion(run, event) if 100 in self._config.milestones else None

    def _leave(self) -> None:
        if self._terminal:
            self._terminal.clear()
        if self._outbox:
            self._outbox.close()
        self._run = self._outbox = self._terminal = None
