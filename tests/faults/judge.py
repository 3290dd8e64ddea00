"""What must be true of a project after a fault, and after the run has gone on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from create_llm.runs.events import read_events
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from tests.faults.project import (
    LIMIT,
    Reference,
    committed_steps,
    final_weights,
    leftovers,
    marked,
    run_folders,
    runs,
    state_of,
    states_of,
)
from tests.faults.trials import Ending


def after_fault(project: Path, reference: Reference, endings: Sequence[Ending]) -> list[str]:
    """What is wrong with what a fault has left, before anything is started again.

    Opening a store heals what a crash may leave; what can be loaded then is judged. That happens
    in a copy, so that the next start finds what the fault left.
    """
    operations = [op for ending in endings for op in ending.operations]
    wrong, with_steps = list[str](), 0
    for folder in run_folders(project):
        promised = committed_steps(operations, folder.name) | told_steps(folder)
        with_steps += bool(promised)
        with TemporaryDirectory(dir=project.parent) as scratch:
            run = _healed(project / "checkpoints" / folder.name, Path(scratch))
            wrong += _lost(run, promised)
            wrong += _foreign(run, reference)
            for name in ("best", "final"):
                wrong += _mark(run, name, reference, marked(operations, folder.name, name))
    if with_steps > 1:
        wrong.append("a new run was begun although there was one to go on with")
    return wrong


def _healed(run: Path, scratch: Path) -> Path:
    copy = scratch / run.name
    if run.is_dir():
        shutil.copytree(run, copy)
    CheckpointStore(copy, LIMIT, Storage())
    return copy


def told_steps(run: Path) -> set[int]:
    """Steps that a `checkpoint` event of a run called saved."""
    events = run / "events.jsonl"
    if not events.exists():
        return set()
    return {event["step"] for event in read_events(events) if event["event"] == "checkpoint"}


def _lost(run: Path, promised: set[int]) -> list[str]:
    """Of what was committed, rotation may have taken all but the newest."""
    whole = states_of(run).keys()
    kept = sorted(promised)[-LIMIT:]
    return [f"step {step} was saved and cannot be loaded" for step in kept if step not in whole]


def _foreign(run: Path, reference: Reference) -> list[str]:
    return [
        f"step {step} loads, but is not what was saved"
        for step, state in states_of(run).items()
        if reference.states.get(step) != state
    ]


def _mark(run: Path, name: str, reference: Reference, stood: bool) -> list[str]:
    fits = {max(reference.states)} if name == "final" else set(reference.states)
    state = state_of(run / name)
    if state is None:
        return [f"{name} stood and cannot be loaded"] if stood else []
    known = {reference.states[step] for step in fits}
    return [] if state in known else [f"{name} loads, but is not what was kept"]


def after_resume(project: Path, reference: Reference, ending: Ending) -> list[str]:
    """What is wrong with a run that was started again and came to its end."""
    if ending.code:
        last = ending.output.strip().splitlines()[-3:]
        return [f"going on ended with {ending.code}: {' / '.join(last)}"]
    if not runs(project) or not (project / "models/active").exists():
        return ["going on ended well, without a model"]
    run, wrong = runs(project)[-1], []
    if final_weights(project) != reference.weights:
        wrong.append("the final weights are not those of the undisturbed run")
    for name, step in (("best", reference.best), ("final", max(reference.states))):
        if state_of(run / name) != reference.states[step]:
            wrong.append(f"{name} is not that of the undisturbed run")
    wrong.extend(f"left behind: {path}" for path in leftovers(project))
    return wrong
