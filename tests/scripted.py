"""A plugin whose callback answers at chosen moments, as the environment says.

`SCRIPTED` holds JSON: a list of moments (the name of an event and its step), each with the kind of
answer and its fields. As many as the run has gone back for are not answered again.

`STRUCK` names where the process is struck once, and by what: in the midst of going back ("rewind")
or before the session that follows ("between"), by "SIGINT" or "ENOSPC".
"""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from create_llm.runs.events import EvalEnd, Event, StepEnd, TrainEnd, TrainStart
from create_llm.runs.run import RunFolder
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.training import remedies
from create_llm.training.callbacks import (
    Answer,
    Answers,
    Callback,
    Overrides,
    Pause,
    Retry,
    Signal,
    Warn,
)

VARIABLE, STRUCK = "SCRIPTED", "STRUCK"
_PLUGIN = """\
from create_llm import hookimpl

@hookimpl
def register_callbacks(register):
    register("scripted", "tests.scripted:make", summary="Answers as it is told.")
"""
_ANSWERS: dict[str, Callable[..., Answer]] = {
    each.__name__: each for each in (Pause, Retry, Signal, Warn)
}


def install_scripted(folder: Path) -> Path:
    """Lay out a distribution with this plugin in a folder for PYTHONPATH."""
    info = folder / "create_llm_scripted-1.0.dist-info"
    info.mkdir(parents=True)
    name = "Metadata-Version: 2.1\nName: create-llm-scripted\nVersion: 1.0\n"
    (info / "METADATA").write_text(name)
    (info / "entry_points.txt").write_text("[create_llm.plugins]\nscripted = create_llm_scripted\n")
    (folder / "create_llm_scripted.py").write_text(_PLUGIN)
    return folder


class Scripted(Callback):
    def __init__(self) -> None:
        self._script: list[tuple[str, str, dict[str, Any]]] = json.loads(
            os.environ.get(VARIABLE, "[]")
        )

    def on_train_start(self, event: TrainStart) -> None:
        self._script = self._script[event.remedies :]

    def on_step_end(self, event: StepEnd) -> Answers:
        return self._answer(event)

    def on_eval_end(self, event: EvalEnd) -> Answers:
        return self._answer(event)

    def on_train_end(self, event: TrainEnd) -> Answers:
        return self._answer(event)

    def _answer(self, event: Event) -> Answers:
        if self._script and self._script[0][0] == f"{event.name} {event.step}":
            _, kind, fields = self._script.pop(0)
            return _made(kind, fields)
        return None


def _made(kind: str, fields: dict[str, Any]) -> Answer:
    made = {name: Overrides(**v) if isinstance(v, dict) else v for name, v in fields.items()}
    return _ANSWERS[kind](**made)


def make(config: object) -> Scripted:
    where, _, by = os.environ.get(STRUCK, "").partition(" ")
    if where == "rewind":
        _strike_rewind(by)
    elif where == "between" and _SESSIONS:
        _strike(by)
    _SESSIONS.append(None)
    return Scripted()


_SESSIONS: list[None] = []
"""One for each of this process."""


def _strike_rewind(by: str) -> None:
    finish = remedies.finish_rewind

    def struck(run: RunFolder, store: CheckpointStore) -> None:
        remedies.finish_rewind = finish
        _strike(by)
        finish(run, store)

    remedies.finish_rewind = struck


def _strike(by: str) -> None:
    if by == "ENOSPC":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "run.json")
    os.kill(os.getpid(), signal.SIGINT)
