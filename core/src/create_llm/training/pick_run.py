"""Which run `llm train` works on: a new one, or one that was left unfinished.

All of it comes before any work: training a tokenizer over that of a run that cannot go on would
be a loss. `find_unfinished` decides and refuses, `claim_run` takes the run's lock, so that nobody
prepares what another process is training on. Once tokenizer and text are on disk,
`differences.refuse_if_another` compares these as well.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from create_llm.errors import ConfigError, DataError, LockedError, did_you_mean
from create_llm.runs.lock import RunLock, is_held, locked, refuse_if_live
from create_llm.runs.report import read_progress
from create_llm.runs.run import RunFolder, new_run
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from create_llm.storage.locks import wait_for_lock
from create_llm.training.differences import (
    changes_before_work,
    refuse_if_different,
    refuse_other_device,
    refuse_other_length,
    say_what_changes_bits,
)
from create_llm.training.job import Ask
from create_llm.training.killed import words_of_killed
from create_llm.training.picked import Chooser, Picked
from create_llm.training.remedies import began_again, finish_rewind, rewinding_to


def find_unfinished(chooser: Chooser) -> Picked | None:
    """The unfinished run to go on with; None: a new one is to be started.

    Raises:
        ConfigError: that run differs in a way that would make it another run, or is complete.
        DataError: a run was asked for by name, and has no checkpoint that can be used.
        LockedError: somebody is training it.
    """
    run = _candidate(chooser)
    if run is None:
        return None
    if is_held(run.path):
        raise locked(run.path)
    found = Picked(run, _newest_step(run, chooser.notice), tuple(run.steps()))
    if found.step is not None:
        run.check()
    if chooser.resume != "auto" and found.step is None:
        raise DataError(
            f"run {run.name} has no checkpoint that can be used",
            where=str(run.checkpoints),
            fixes=(chooser.anew, "see the others: llm runs list"),
        )
    if not found.step and chooser.initial is not None:
        did = "left no checkpoint" if found.step is None else "went back to its beginning"
        chooser.initial.refuse_if_gone(f"run {run.name} {did}")
    if run.status() == "killed":
        for words in words_of_killed(run, found.step):
            chooser.notice(words)
    if found.step is None or not _wanted(found, chooser.ask):
        return None
    refuse_if_different(chooser, found, changes_before_work(chooser, run))
    refuse_other_device(chooser, found)
    refuse_other_length(chooser, found)
    say_what_changes_bits(chooser, found)
    return found


@contextlib.contextmanager
def claim_run(chooser: Chooser, found: Picked | None) -> Iterator[Picked]:
    """Hold the lock of the run that was found, or of a new one.

    Raises:
        LockedError: of several starters, another was first.
    """
    with contextlib.ExitStack() as held:
        with _one_at_a_time(chooser.logs):
            picked = found or _begin(chooser)
            held.enter_context(RunLock(picked.run.path))
        if found is not None:
            _refuse_if_moved_on(found)
            finish_rewind(found.run, _store(found.run))
        yield picked


def _candidate(chooser: Chooser) -> RunFolder | None:
    """The run that is spoken of: the newest, if it is not complete, or the one that was named."""
    if chooser.resume == "never":
        return None
    if chooser.resume == "auto":
        refuse_if_live(chooser.logs)
    runs = chooser.runs()
    if chooser.resume == "auto":
        # Only the newest run counts: what was left behind before it was left on purpose.
        newest = runs[-1] if runs else None
        if newest is not None and newest.status() == "completed":
            chooser.notice(_complete(newest))
            return None
        return newest
    named = next((run for run in runs if run.name == chooser.resume), None)
    if named is None:
        raise ConfigError(
            f"there is no run called '{chooser.resume}'",
            where=str(chooser.logs),
            fixes=(
                *did_you_mean(chooser.resume, [run.name for run in runs]),
                "see them: llm runs list",
            ),
        )
    if named.status() == "completed":
        raise ConfigError(f"run {named.name} is complete", fixes=(chooser.anew, "llm runs list"))
    return named


def _complete(run: RunFolder) -> str:
    model = run.summary().get("model")
    made = f" and made {Path(model).name}" if isinstance(model, str) else ""
    return f"run {run.name} is complete{made}; this is a new run, from the beginning"


def _newest_step(run: RunFolder, notice: Callable[[str], None]) -> int | None:
    """Of the steps that count: a run that is going back has left those that are later."""
    newest = _store(run).newest_valid(
        lambda error: notice(f"{error.what}; not used"), rewinding_to(run)
    )
    return 0 if newest is None and began_again(run) else newest


def _store(run: RunFolder) -> CheckpointStore:
    return CheckpointStore(run.checkpoints, limit=2, storage=Storage())


def _wanted(found: Picked, ask: Ask | None) -> bool:
    total = read_progress(found.run.events).total_steps
    state = f"stopped at step {found.step:,}. Continue it?"
    if found.step == total:
        state = f"took all its {total:,} steps and did not write its model. Finish it?"
    return ask is None or ask(f"Run {found.run.name} {state} (no: start a new one)")


def _begin(chooser: Chooser) -> Picked:
    """A folder for a new run, unless somebody else has just begun one."""
    if chooser.resume == "auto":
        refuse_if_live(chooser.logs)
    _clear(chooser.logs)
    now = datetime.now().astimezone()
    return Picked(new_run(chooser.logs, chooser.project.checkpoints, now), None)


def _clear(logs: Path) -> None:
    """Remove runs that were killed before they began: of them there is a lock and no more."""
    for lock in list(logs.glob("*/lock")):
        if list(lock.parent.iterdir()) == [lock] and not is_held(lock.parent):
            shutil.rmtree(lock.parent, ignore_errors=True)


def _refuse_if_moved_on(found: Picked) -> None:
    """Another process may have worked on the run, and ended, since it was found."""
    if found.run.status() == "completed" or tuple(found.run.steps()) != found.seen:
        raise LockedError(
            f"run {found.run.name} was continued by another process in the meantime",
            fixes=("run the same command again",),
        )


@contextlib.contextmanager
def _one_at_a_time(logs: Path) -> Iterator[None]:
    """Of several starters, let one begin a run before the next looks at what there is."""
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / ".lock").open("ab") as file:
        wait_for_lock(file)
        yield
