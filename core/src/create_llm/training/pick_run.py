"""Which run `llm train` works on: a new one, or one that was left unfinished.

All of it comes before any work: training a tokenizer over that of a run that cannot go on would
be a loss. `find_unfinished` decides and refuses, `claim_run` takes the run's lock, so that nobody
prepares what another process is training on. Once tokenizer and text are on disk,
`refuse_if_another` compares these as well.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from create_llm.config import Config
from create_llm.config.hardware import Hardware, resolve_device
from create_llm.config.values import DEFAULT
from create_llm.data.pipeline import changes_of_text
from create_llm.errors import ConfigError, DataError, LockedError, did_you_mean
from create_llm.project.folder import Project
from create_llm.runs.again import rerun_command
from create_llm.runs.lock import RunLock, is_held, locked, refuse_if_live
from create_llm.runs.origin import origin_of
from create_llm.runs.report import read_progress
from create_llm.runs.run import RunFolder, new_run, runs_of
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from create_llm.storage.locks import wait_for_lock
from create_llm.training.initial import InitialModel, initial_identity
from create_llm.training.job import Ask
from create_llm.training.killed import words_of_killed
from create_llm.training.machine import changes_of_machine
from create_llm.training.remedies import began_again, finish_rewind, rewinding_to

_RANDOM = "random weights"
_MICRO_BATCH = ("training.batch_size", "training.gradient_accumulation_steps")
_TEXT = ("data", "tokenizer")
_LENGTH = ("max_seconds", "max_steps", "epochs")


@dataclass(frozen=True, slots=True)
class Picked:
    """The run to work on.

    Attributes:
        step: to continue from; None: a new run; 0: one that went back to its beginning.
        seen: the steps that had a checkpoint, damaged or not, when the run was picked.
        deadline: when the run ends at the latest (seconds of `time.monotonic`), where that was
            settled by an earlier session of this process.
    """

    run: RunFolder
    step: int | None
    seen: tuple[int, ...] = ()
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Chooser:
    """What the choice depends on.

    Attributes:
        resume: "auto" continues the newest unfinished run if its configuration is the same,
            "never" starts anew, anything else is the id of a run.
        control_tokens: what the objective adds to the tokenizer.
        ask: asks a person; None where there is nobody to ask.
        notice: hears what a person should know: of damaged checkpoints, of a run that was killed.
        initial: what a new run begins with; None: random weights.
        command: the command line, for advice.
    """

    project: Project
    config: Config
    hardware: Hardware
    resume: str = "auto"
    control_tokens: tuple[str, ...] = ()
    ask: Ask | None = None
    notice: Callable[[str], None] = lambda message: None
    initial: InitialModel | None = None
    command: tuple[str, ...] = ()

    @property
    def anew(self) -> str:
        """What to do where a run cannot go on."""
        return f"start a new run: {rerun_command(self.command, {})}"

    def identity(self) -> dict[str, object]:
        """What is known of it before any work: all but the hashes of the text and the tokenizer."""
        return {**self.config.identity(), **initial_identity(self.initial)}

    @property
    def logs(self) -> Path:
        return self.project.root / self.config.logging.log_dir

    def runs(self) -> list[RunFolder]:
        return list(runs_of(self.logs, self.project.checkpoints))


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
    _refuse_if_different(chooser, found, _changes_before_work(chooser, run))
    _refuse_other_device(chooser, found)
    _refuse_other_length(chooser, found)
    _say_what_changes_bits(chooser, found)
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


def refuse_if_another(chooser: Chooser, picked: Picked, identity: Mapping[str, object]) -> None:
    """
    Args:
        identity: with the hashes of the data and the tokenizer, which exist by now.

    Raises:
        ConfigError: data or tokenizer are not those that the run began with.
    """
    if picked.step is not None:
        _refuse_if_different(chooser, picked, _differences(chooser, picked.run, identity))


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


def _changes_before_work(chooser: Chooser, run: RunFolder) -> list[str]:
    """How a run differs from what is asked for now, as far as it can be told without working."""
    before = _identity(run)
    text = {key: before[key] for key in _TEXT if key in before}
    changed = _differences(chooser, run, {**chooser.identity(), **text})
    if changed or not all(key in before for key in _TEXT):
        return changed
    return changes_of_text(
        chooser.project,
        chooser.config,
        chooser.control_tokens,
        tokenizer_hash=str(before["tokenizer"]),
        key=str(before["data"]),
    )


def _identity(run: RunFolder) -> dict[str, Any]:
    identity: dict[str, Any] = run.manifest().get("identity", {})
    return identity


def _differences(chooser: Chooser, run: RunFolder, now: Mapping[str, Any]) -> list[str]:
    before = _identity(run)
    settings = chooser.config.settings
    # The key of a later version, which begins with what the run did without knowing it.
    new = {key for key in now.keys() - before.keys() if key in settings}
    new = {key for key in new if settings[key].source == DEFAULT}
    keys = sorted(before.keys() | now.keys() - new)
    changed = [key for key in keys if before.get(key) != now.get(key)]
    if _effective_batch(before) == _effective_batch(now):
        # However it is divided, each step learns from the same samples.
        changed = [key for key in changed if key not in _MICRO_BATCH]
    changes = {key: (repr(before.get(key)), repr(now.get(key))) for key in changed}
    if "init" in changes:
        began = chooser.initial.as_dict() if chooser.initial else None
        then, today = origin_of(run.manifest().get("init")), origin_of(began)
        changes["init"] = (str(then or _RANDOM), str(today or _RANDOM))
    return [f"{key}: {then} then, {today} now" for key, (then, today) in changes.items()]


def _effective_batch(identity: Mapping[str, Any]) -> int:
    """Samples of one step; 0 where the identity does not say."""
    return math.prod(identity.get(key, 0) for key in _MICRO_BATCH)


def _refuse_if_different(chooser: Chooser, found: Picked, changed: list[str]) -> None:
    if changed:
        raise ConfigError(
            f"run {found.run.name} (step {found.step:,}) was made with another configuration, so "
            f"it cannot go on as the same run: {'; '.join(changed[:8])}",
            fixes=(chooser.anew, "or set these back and run the same command again"),
        )


def _refuse_other_device(chooser: Chooser, found: Picked) -> None:
    """A run stays on the kind of device that it began on: another computes other numbers."""
    then = found.run.manifest().get("frozen", {}).get("device")
    now = resolve_device(chooser.config, chooser.hardware)
    asked = chooser.config.training.device != "auto"
    gone = {"cuda": not chooser.hardware.gpu_name, "mps": not chooser.hardware.mps}.get(then, False)
    if then is not None and then != now and (asked or gone):
        raise ConfigError(
            f"run {found.run.name} (step {found.step:,}) cannot go on here: device: {then} then, "
            f"{now} now",
            fixes=(
                f"go on with it where there is {then}",
                chooser.anew,
            ),
        )


def _refuse_other_length(chooser: Chooser, found: Picked) -> None:
    """How many steps fit into a time was settled at the run's start, and its schedule with it."""
    told = _other_length(chooser, found)
    fitted = found.run.manifest().get("frozen", {}).get("fitted_steps") is not None
    if told and (fitted or chooser.config.training.max_seconds is not None):
        raise ConfigError(
            f"run {found.run.name} (step {found.step:,}) cannot be given another length, since a "
            f"time limit settles it at a run's start: {'; '.join(told)}",
            fixes=(chooser.anew, "or set these back and run the same command again"),
        )


def _other_length(chooser: Chooser, found: Picked) -> list[str]:
    """What decides how many steps a run has, and is not what it was."""
    before = found.run.manifest().get("config", {}).get("training", {})
    now = chooser.config.training.model_dump(mode="json")
    return [
        f"training.{key}: {before.get(key)} then, {now[key]} now"
        for key in _LENGTH
        if before.get(key) != now[key]
    ]


def _say_what_changes_bits(chooser: Chooser, found: Picked) -> None:
    """What does not make another run, but other last bits than the run without a break."""
    before, now = _identity(found.run), chooser.config.identity()
    changes = changes_of_machine(found.run.manifest(), chooser.hardware)
    changes += [
        f"{key}: {before.get(key)} then, {now.get(key)} now"
        for key in _MICRO_BATCH
        if before.get(key) != now.get(key)
    ]
    changes += [f"{told}, which the schedule follows" for told in _other_length(chooser, found)]
    if changes:
        chooser.notice(
            f"run {found.run.name} goes on, but its last bits will differ from those of a run "
            f"without a break: {'; '.join(changes)}"
        )


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
