"""Crash states of a checkpoint store, and what must be true of each."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path

from create_llm.errors import DataError
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage, read_manifest, verify
from tests.faults.bench import Bench
from tests.faults.crash_disk import Crash, Entry, Note, RecordingDisk
from tests.faults.crash_states import kills, lies, power_losses
from tests.faults.figures import Figures

LIMIT = 2
STEPS = (2, 4, 6, 8, 10)
BEST = {4: 3.0, 6: 2.5, 10: 2.0}
"""The steps whose checkpoint becomes `best`, and the loss that made it so."""
PAGE = 4096


@cache
def content(step: int) -> dict[str, bytes]:
    """What the checkpoint of a step holds: files of less than a page, and of several."""
    return {
        "model.safetensors": bytes((step * 7 + i * i) % 251 for i in range(2 * PAGE + 100)),
        "optimizer.safetensors": bytes((step * 11 + i * 3) % 241 for i in range(PAGE + 1)),
        "config.json": b'{"layers": 1}',
        "state.json": f'{{"step": {step}}}'.encode(),
    }


def scenario(disk: RecordingDisk, store: CheckpointStore) -> None:
    """What a run asks of its store: save, rotate, keep the best, and the final one at the end."""
    for step in STEPS:
        disk.note("saving", "step", step)
        with store.commit(step) as writer:
            for name, data in content(step).items():
                writer.write(name, [data[:PAGE], data[PAGE:]])
        disk.note("saved", "step", step)
        store.rotate()
        if step in BEST:
            _mark(disk, store, "best", step)
    _mark(disk, store, "final", STEPS[-1])


def _mark(disk: RecordingDisk, store: CheckpointStore, name: str, step: int) -> None:
    disk.note("marking", name, step)
    store.mark(name, step, {"val_loss": BEST.get(step, 0.0)})
    disk.note("marked", name, step)


def record(folder: Path) -> list[Entry]:
    """The log of the scenario on the code as it is."""
    disk = RecordingDisk(folder)
    scenario(disk, CheckpointStore(folder / "run", LIMIT, Storage(disk)))
    return disk.log


@dataclass(slots=True)
class Promise:
    """What the caller had been told when the machine stopped.

    Attributes:
        saved: steps whose commit had returned.
        saving: steps whose commit had begun.
        marks: name → the steps that may stand under it; None among them: it may be missing.
    """

    saved: list[int] = field(default_factory=list)
    saving: list[int] = field(default_factory=list)
    marks: dict[str, set[int | None]] = field(default_factory=dict)


def promise_at(log: Sequence[Entry], stop: int) -> Promise:
    promise = Promise(marks={"best": {None}, "final": {None}})
    for note in (entry for entry in log[:stop] if isinstance(entry, Note)):
        if note.what == "saving":
            promise.saving.append(note.step)
        elif note.what == "saved":
            promise.saved.append(note.step)
        elif note.what == "marking":
            promise.marks[note.name].add(note.step)
        else:
            promise.marks[note.name] = {note.step}
    return promise


def judge(folder: Path, promise: Promise, *, lie: bool) -> list[str]:
    """Open the store as a run does that goes on, and list what is not as promised.

    With a disk that lied only this is demanded: what loads is something that was saved.
    """
    store = CheckpointStore(folder / "run", LIMIT, Storage())
    newest = store.newest_valid(lambda error: None)
    loaded = {path.name: _loaded(path) for path in _folders(store.folder)}
    steps = {name: _step(name) for name in loaded if name.startswith("step-")}
    wrong = [*_mixed(loaded, steps, promise)]
    if not lie:
        wrong += [
            f"{name} has its name and is not whole" for name, files in loaded.items() if not files
        ]
        wrong += _lost(newest, steps, loaded, promise)
        wrong += _marks(loaded, promise)
    return wrong


def _folders(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and not path.name.startswith("."))


def _step(name: str) -> int:
    return int(name.removeprefix("step-"))


def _loaded(folder: Path) -> dict[str, bytes] | None:
    """The files that a load would read; None where it refuses."""
    try:
        verify(folder)
        names = read_manifest(folder)
    except DataError:
        return None
    kept = (name for name in names if name != "mark.json")
    return {name: (folder / name).read_bytes() for name in kept}


def _mixed(
    loaded: Mapping[str, dict[str, bytes] | None], steps: Mapping[str, int], promise: Promise
) -> Iterator[str]:
    for name, files in loaded.items():
        if files is None:
            continue
        allowed = [steps[name]] if name in steps else promise.saving
        if files not in [content(step) for step in allowed]:
            yield f"{name} loads, but is nothing that was saved"


def _lost(
    newest: int | None,
    steps: Mapping[str, int],
    loaded: Mapping[str, dict[str, bytes] | None],
    promise: Promise,
) -> Iterator[str]:
    whole = {step for name, step in steps.items() if loaded[name] is not None}
    for step in promise.saved[-LIMIT:]:
        if step not in whole:
            yield f"step {step} was saved and cannot be loaded"
    if promise.saved and (newest is None or newest < promise.saved[-1]):
        yield f"the newest that loads is {newest}, but {promise.saved[-1]} was saved"


def _marks(loaded: Mapping[str, dict[str, bytes] | None], promise: Promise) -> Iterator[str]:
    for name, allowed in promise.marks.items():
        files = loaded.get(name)
        fits = [content(step) for step in allowed if step is not None]
        if files is None and None not in allowed:
            yield f"{name} stood and cannot be loaded"
        if files is not None and files not in fits:
            yield f"{name} is neither the old one nor the new one"


@dataclass(frozen=True, slots=True)
class Amount:
    """How many states to build: random mixtures for each prefix, and lies in all."""

    mixtures: int
    lies: int
    every: int = 1


def states(log: Sequence[Entry], amount: Amount, seed: int) -> Iterator[Crash]:
    """Crash states; `amount.every`: only one in so many of those of a power loss."""
    losses = power_losses(log, amount.mixtures, seed)
    thinned = (crash for number, crash in enumerate(losses) if number % amount.every == 0)
    return chain(kills(log), lies(log, amount.lies, seed), thinned)


def violations(
    log: Sequence[Entry], crashes: Iterable[Crash], scratch: Path
) -> Iterator[tuple[Crash, list[str]]]:
    """Build each state in a folder of its own below `scratch` and judge it."""
    for number, crash in enumerate(crashes):
        folder = scratch / f"state-{number}"
        folder.mkdir()
        crash.build(log, folder)
        wrong = judge(folder, promise_at(log, crash.stop), lie=crash.kind == "lie")
        shutil.rmtree(folder)
        yield crash, wrong


def power(bench: Bench, amount: Amount) -> Figures:
    """Crash states of the code as it is: none may break a promise."""
    figures = Figures("power loss")
    log = record(bench.folder("recorded"))
    counts: Counter[str] = Counter()
    scratch = bench.folder("states")
    for crash, wrong in violations(log, states(log, amount, bench.seed), scratch):
        counts[f"states ({crash.kind})"] += 1
        figures.judge(f"{crash.kind} at {crash.stop}, {crash.how}", wrong)
    figures.numbers = {"entries of the log": len(log), **counts}
    return figures.closed()
