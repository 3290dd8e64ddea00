"""A real training run that takes half a second, and what is true of it when nothing fails."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from create_llm.errors import DataError
from create_llm.runs.run import runs_of
from create_llm.storage.durable import verify
from tests.faults.trials import Ending, Operation, Server
from tests.journey import sentences

LIMIT = 2
TRAIN = ("train", "--device", "cpu")
TOML = f"""\
plugins = []

[project]
template = "nano"

[model]
name = "gpt"
layers = 1
dim = 16
heads = 2
ffn_dim = 32
max_length = 16

[tokenizer]
name = "bpe"
vocab_size = 270

[training]
batch_size = 2
max_steps = 8
eval_interval = 4
save_interval = 2

[checkpoints]
save_total_limit = {LIMIT}

[logging]
log_interval = 1

[generation]
max_new_tokens = 2
"""
_STEP = re.compile(r"checkpoints/RUN/step-(\d+)")
_STATE = ("model.safetensors", "optimizer.safetensors", "config.json")


def _text() -> str:
    text: str = sentences(120)  # type: ignore[no-untyped-call]
    return text


def make_project(folder: Path, toml: str = TOML) -> Path:
    """A project with text and nothing else: no tokenizer, no token shards, no run."""
    (folder / "data/raw").mkdir(parents=True)
    (folder / "data/raw/text.txt").write_text(_text(), encoding="utf-8")
    (folder / "llm.toml").write_text(toml, encoding="utf-8")
    return folder


@dataclass(frozen=True, slots=True)
class Reference:
    """The run that nothing disturbed.

    Attributes:
        project: its folder, without a run but with a tokenizer and token shards.
        states: what is in each step's checkpoint, by step.
        best: the step whose checkpoint `best` was at the end.
        weights: SHA-256 of the final model.safetensors.
        ending: of the run with the limit of `LIMIT` checkpoints.
    """

    project: Path
    states: Mapping[int, str]
    best: int
    weights: str
    ending: Ending

    @property
    def operations(self) -> tuple[Operation, ...]:
        return self.ending.operations


def measure(server: Server, folder: Path, toml: str = TOML) -> Reference:
    """Make the project and run it undisturbed: once keeping every checkpoint, once as it is."""
    everything = make_project(folder / "everything", toml)
    every = ("--set", "checkpoints.save_total_limit=100")
    ending = server.warm_up(everything, (*TRAIN, *every))
    _expect_success(ending)
    (run,) = runs(everything)
    states = states_of(run)
    plain = make_project(folder / "plain", toml)
    ending = server.run(plain, TRAIN)
    _expect_success(ending)
    weights = final_weights(everything)
    if weights != final_weights(plain):
        raise AssertionError("two undisturbed runs differ: nothing can be compared with them")
    best = json.loads((run / "best/mark.json").read_text())["step"]
    prepared = copy_project(plain, folder / "prepared")
    for made in ("checkpoints", "logs", "models"):
        shutil.rmtree(prepared / made, ignore_errors=True)
    return Reference(prepared, states, best, weights, ending)


def _expect_success(ending: Ending) -> None:
    if ending.code:
        raise AssertionError(f"the undisturbed run ended with {ending.code}:\n{ending.output}")


def copy_project(source: Path, target: Path) -> Path:
    """A copy whose files share nothing with the original, so that damage stays in it."""
    return Path(shutil.copytree(source, target, symlinks=True))


def runs(project: Path) -> list[Path]:
    """The runs' folders of checkpoints, oldest first."""
    folder = project / "checkpoints"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def run_folders(project: Path) -> list[Path]:
    """The runs' folders of logs, oldest first; one that never began has no run.json."""
    return sorted(path for path in (project / "logs").glob("*") if path.is_dir())


def states_of(run: Path) -> dict[int, str]:
    """What each whole step checkpoint holds, as one hash; damaged ones are left out."""
    found = {}
    for path in run.glob("step-*"):
        state = state_of(path)
        if state is not None:
            found[int(path.name.removeprefix("step-"))] = state
    return found


def state_of(folder: Path) -> str | None:
    """A hash over weights, optimizer and shape; None where the folder does not verify."""
    try:
        records = verify(folder)
    except DataError:
        return None
    return hashlib.sha256("".join(records[name].sha256 for name in _STATE).encode()).hexdigest()


def final_weights(project: Path) -> str:
    """SHA-256 of the weights that the active model holds on the disk."""
    active = (project / "models/active").read_text().strip()
    return sha256(project / "models" / active / "model.safetensors")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def committed_steps(operations: Sequence[Operation], run: str) -> set[int]:
    """Steps of a run whose folder got its name."""
    found = (_STEP.fullmatch(op.target) for op in _renamed(operations, run))
    return {int(match[1]) for match in found if match}


def marked(operations: Sequence[Operation], run: str, name: str) -> bool:
    """Whether a checkpoint of a run stood under this name at some time."""
    return any(op.target == f"checkpoints/RUN/{name}" for op in _renamed(operations, run))


def _renamed(operations: Sequence[Operation], run: str) -> Iterator[Operation]:
    for op in operations:
        if op.what == "rename" and op.done and f"/{run}/" in op.path:
            yield op


def is_complete(project: Path) -> bool:
    """Whether the newest run says that it is."""
    runs = list(runs_of(project / "logs", project / "checkpoints"))
    return bool(runs) and runs[-1].summary().get("status") == "completed"


def leftovers(project: Path) -> list[str]:
    """Temporary files and folders below a project.

    A run that was killed before its first checkpoint is not gone on with: what it left in its
    folder of logs is part of what is left of it.
    """
    found = {path for name in (".tmp-*", ".old-*") for path in project.rglob(name)}
    for logs in run_folders(project)[:-1]:
        if not any((project / "checkpoints" / logs.name).glob("step-*")):
            found -= set(logs.iterdir())
    return sorted(str(path.relative_to(project)) for path in found)
