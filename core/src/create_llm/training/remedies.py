"""Going back: what a run does otherwise since a callback asked for it, and from where.

It stands in run.json, in this order: `remedies` gets its entry and `rewind` the step to go back to,
in one write; then the checkpoints of the abandoned steps are removed; then `rewind` is. A process
that is killed in between leaves `rewind`, and the next start finishes what it finds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from create_llm.errors import DataError
from create_llm.runs.run import RunFolder
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.training.callbacks import Overrides, Retry

_REMEDIES, _REWIND = "remedies", "rewind"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One time that a run went back, or went on otherwise from where it was.

    Attributes:
        at_step: where it was; that it went on from, where it left nothing.
        from_step: where it went on from; 0 is the beginning.
    """

    at_step: int
    from_step: int
    reason: str
    overrides: Overrides


def remedies_of(run: RunFolder) -> tuple[Remedy, ...]:
    """What run.json says, oldest first.

    Raises:
        DataError: it is not as it was written.
    """
    stored = run.manifest().get(_REMEDIES, [])
    try:
        read = TypeAdapter(tuple[Remedy, ...]).validate_json(json.dumps(stored), strict=True)
    except ValidationError as error:
        where = ".".join(map(str, (_REMEDIES, *error.errors()[0]["loc"])))
        raise DataError(
            f"run {run.name} cannot go on: what it does otherwise since it went back cannot be "
            f"read ({where})",
            where=str(run.path / "run.json"),
            fixes=("start a new run: llm train --resume never",),
        ) from error
    return read


def combined(remedies: Sequence[Remedy]) -> Overrides:
    """All of them as one. Of micro-batches run.json itself says into how many they are divided."""
    overrides = [remedy.overrides for remedy in remedies]
    clips = [each.gradient_clip for each in overrides if each.gradient_clip is not None]
    return Overrides(
        learning_rate=math.prod(each.learning_rate for each in overrides),
        gradient_clip=clips[-1] if clips else None,
        end_at_best=bool(remedies) and remedies[-1].from_step > 0 and overrides[-1].end_at_best,
    )


def done_otherwise(overrides: Overrides) -> list[str]:
    """In plain words."""
    told = []
    if overrides.learning_rate != 1:
        told.append(f"{overrides.learning_rate:.3g} times the learning rate")
    if overrides.gradient_clip is not None:
        told.append(f"gradients no longer than {overrides.gradient_clip:g}")
    if overrides.divided > 1:
        told.append(f"micro-batches divided by {overrides.divided}")
    return told


def went_back(remedy: Remedy) -> str:
    """What a run does otherwise, and since when."""
    to, changes = remedy.from_step, remedy.overrides
    told = ["its beginning" if to == 0 else f"step {to:,}"]
    told += [f"with {each}" for each in done_otherwise(changes)]
    if changes.end_at_best:
        told.append("its best, and ends there")
    back = "" if remedy.at_step == to else f" went back at step {remedy.at_step:,} and"
    return f"this run{back} goes on from {', '.join(told)} ({remedy.reason})"


def go_back(
    run: RunFolder,
    store: CheckpointStore,
    retry: Retry,
    *,
    at_step: int,
    divided: int,
    divisible: int,
    damaged: Callable[[DataError], None],
) -> int:
    """Write down what is done otherwise, and leave what came after the step to go on from.

    Args:
        at_step: where the run is.
        divided: into how many parts each micro-batch is now.
        divisible: into how many it can be.

    Returns:
        That step; 0 is the beginning.
    """
    to, overrides = _where_to(store, retry, at_step, damaged)
    manifest = run.manifest()
    remedy = Remedy(at_step, to, retry.reason, overrides)
    changes: dict[str, Any] = {
        _REMEDIES: [*manifest.get(_REMEDIES, []), asdict(remedy)],
        _REWIND: to,
        "divided": min(divided * overrides.divided, divisible),
        "looked": min(manifest.get("looked", 0), to),
    }
    run.write_manifest({**manifest, **changes})
    finish_rewind(run, store)
    return to


def follow(run: RunFolder, held: Sequence[Remedy], *, divided: int, divisible: int) -> None:
    """Go on with the remedies of another run, from where this one is, which leaves nothing."""
    manifest = run.manifest()
    new = held[len(manifest.get(_REMEDIES, [])) :]
    divided *= math.prod(remedy.overrides.divided for remedy in new)
    own = [replace(remedy, at_step=remedy.from_step) for remedy in held]
    changes: dict[str, Any] = {
        _REMEDIES: [asdict(remedy) for remedy in own],
        "divided": min(divided, divisible),
    }
    run.write_manifest({**manifest, **changes})


def finish_rewind(run: RunFolder, store: CheckpointStore) -> None:
    """Remove what an abandoned part of the run has left, if it is not done; for whoever holds the
    run's lock."""
    manifest = run.manifest()
    to = manifest.pop(_REWIND, None)
    if to is None:
        return
    store.forget_after(to)
    run.write_manifest(manifest)


def rewinding_to(run: RunFolder) -> int | None:
    """The step after which nothing counts any more although it may be there still.

    Raises:
        DataError: run.json is not as it was written.
    """
    to = run.manifest().get(_REWIND)
    if to is None or (isinstance(to, int) and to >= 0):
        return to
    raise DataError(
        f"run {run.name} cannot go on: its run.json does not say where it goes back to",
        where=f"{run.path / 'run.json'}, {_REWIND}",
        fixes=("start a new run: llm train --resume never",),
    )


def began_again(run: RunFolder) -> bool:
    """Whether the run went back to its beginning, from where it needs no checkpoint to go on."""
    remedies = remedies_of(run)
    return bool(remedies) and remedies[-1].from_step == 0


def _where_to(
    store: CheckpointStore, retry: Retry, at_step: int, damaged: Callable[[DataError], None]
) -> tuple[int, Overrides]:
    """The newest whole checkpoint that is not later than what was asked for, and what is done
    otherwise from there. Where the best is not whole, nothing is given up for it."""
    latest = at_step if retry.step is None or retry.overrides.end_at_best else retry.step
    best = _recalled_best(store, damaged)
    if retry.overrides.end_at_best and best and store.newest_valid(damaged, best) == best:
        return best, retry.overrides
    to = store.newest_valid(damaged, latest) or 0
    overrides = retry.overrides if to else retry.from_beginning or retry.overrides
    return to, replace(overrides, end_at_best=False)


def _recalled_best(store: CheckpointStore, damaged: Callable[[DataError], None]) -> int | None:
    """The step of the best checkpoint, found by it again from here on; None where it is damaged."""
    try:
        best = store.marked("best").get("step")
        store.recall("best")
    except DataError as error:
        damaged(error)
        return None
    return best if isinstance(best, int) else None
