"""Which run `llm train` works on: a new one, or one that was left unfinished."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from create_llm.errors import ConfigError, DataError, did_you_mean
from create_llm.project.folder import Project
from create_llm.runs.run import RunFolder, new_run, runs_of
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from create_llm.training.job import Ask


@dataclass(frozen=True, slots=True)
class Picked:
    """The run to work on, and the step to continue from (None: a new run)."""

    run: RunFolder
    step: int | None


def pick_run(
    project: Project,
    logs: str,
    identity: Mapping[str, object],
    resume: str,
    *,
    ask: Ask | None,
    warn: Callable[[str], None],
) -> Picked:
    """Decide between a new run and an unfinished one.

    Args:
        resume: "auto" continues the newest unfinished run if its configuration is the same,
            "never" starts anew, anything else is the id of a run.
        ask: asks a person; None where there is nobody to ask.
        warn: hears of damaged checkpoints.

    Raises:
        ConfigError: the unfinished run differs in a way that would make it another run.
    """
    folder = project.root / logs
    if resume != "never":
        found = _unfinished(project, logs, resume, warn)
        if resume != "auto" and found is not None:
            _refuse_if_nothing_to_resume(found)
        if found is not None and found.step is not None and _wanted(found, ask):
            _refuse_if_different(found, identity)
            return found
        _say_if_complete(folder, project, resume, warn)
    return Picked(new_run(folder, project.checkpoints, datetime.now().astimezone()), None)


def _unfinished(
    project: Project, logs: str, resume: str, warn: Callable[[str], None]
) -> Picked | None:
    runs = list(runs_of(project.root / logs, project.checkpoints))
    if resume == "auto":
        # Only the newest run counts: what was left behind before it was left on purpose.
        candidates = [run for run in runs[-1:] if run.status() != "completed"]
    else:
        candidates = [run for run in runs if run.name == resume]
        if not candidates:
            names = [run.name for run in runs]
            raise ConfigError(
                f"there is no run called '{resume}'",
                where=str(project.root / logs),
                fixes=(*did_you_mean(resume, names), "see them: llm runs list"),
            )
    for run in candidates:
        store = CheckpointStore(run.checkpoints, limit=2, storage=Storage())
        return Picked(run, store.newest_valid(lambda error: warn(f"{error.what}; not used")))
    return None


def _refuse_if_nothing_to_resume(found: Picked) -> None:
    new = "start a new run: llm train --resume never"
    if found.run.status() == "completed":
        raise ConfigError(f"run {found.run.name} is complete", fixes=(new, "llm runs list"))
    if found.step is None:
        raise DataError(
            f"run {found.run.name} has no checkpoint that can be used",
            where=str(found.run.checkpoints),
            fixes=(new, "see the others: llm runs list"),
        )


def _say_if_complete(
    folder: Path, project: Project, resume: str, warn: Callable[[str], None]
) -> None:
    runs = list(runs_of(folder, project.checkpoints))
    if resume == "auto" and runs and runs[-1].status() == "completed":
        warn(f"run {runs[-1].name} is complete; this is a new one, from the beginning")


def _wanted(found: Picked, ask: Ask | None) -> bool:
    return ask is None or ask(
        f"Run {found.run.name} stopped at step {found.step}. Continue it? (no: start a new one)"
    )


def _refuse_if_different(found: Picked, identity: Mapping[str, object]) -> None:
    before = found.run.manifest().get("identity", {})
    keys = sorted(before.keys() | identity.keys())
    changed = [
        f"{key}: {before.get(key)!r} then, {identity.get(key)!r} now"
        for key in keys
        if before.get(key) != identity.get(key)
    ]
    if changed:
        raise ConfigError(
            f"run {found.run.name} (step {found.step}) was made with another configuration, so "
            f"it cannot go on as the same run: {'; '.join(changed[:8])}",
            fixes=(
                "start a new run: llm train --resume never",
                "or set these back and run the same command again",
            ),
        )
