"""Numbers that are no numbers: the update is not made, nothing of it is saved, exit 76."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.faults.bench import Bench, spread
from tests.faults.figures import Figures
from tests.faults.project import TOML, TRAIN, runs, states_of
from tests.faults.spoilt import VARIABLE, install_plugin
from tests.faults.trials import Ending, Server

ACCUMULATION = 2
LOG_INTERVAL = 2
DIVERGED = 76
SPOILT = (
    TOML.replace('name = "gpt"', 'name = "spoilt"')
    # Nobody is to go back here: what the run itself does is looked at.
    .replace("log_interval = 1", f"log_interval = {LOG_INTERVAL}\nguard = false")
    # A rehearsal of compiled steps before the run would meet the bad number in place of the run.
    .replace(
        "batch_size = 2",
        f'batch_size = 2\ngradient_accumulation_steps = {ACCUMULATION}\ncompile = "off"',
    )
    .replace("[logging]", '[objective]\nname = "spoilt"\n\n[logging]')
)
WHAT = ("loss", "gradient", "weight", "weight after the backward pass")
STEPS = {"not logged": 3, "logged": 4, "the last": 8}
"""The update that goes bad, from 1: the log reads every second, and a save follows each log."""


@dataclass(frozen=True, slots=True)
class Spoil:
    """One number at one moment, as the plugin reads it."""

    what: str
    value: str
    call: int

    @property
    def step(self) -> int:
        """The update that it belongs to, from 1."""
        return self.call // ACCUMULATION + 1

    def __str__(self) -> str:
        micro = self.call % ACCUMULATION
        return f"{self.value} in the {self.what}, step {self.step}, micro-batch {micro}"


def spoils() -> list[Spoil]:
    return [
        Spoil(what, value, (step - 1) * ACCUMULATION + micro)
        for what in WHAT
        for value in ("nan", "inf")
        for step in STEPS.values()
        for micro in range(ACCUMULATION)
    ]


def nonfinite(bench: Bench, share: int | None = None) -> Figures:
    """Spoil one number of a run at a time."""
    figures = Figures("numbers that are no numbers")
    server = bench.server(overlays=[install_plugin(bench.folder("plugin"))])
    clean = bench.project(SPOILT)
    ending = server.warm_up(clean, (*TRAIN, "--set", "checkpoints.save_total_limit=100"))
    if ending.code:
        raise AssertionError(f"the undisturbed run ended with {ending.code}:\n{ending.output}")
    states = states_of(runs(clean)[0])
    for spoil in spread(spoils(), share):
        figures.judge(str(spoil), _trial(bench, server, spoil, states))
    return figures.closed()


def _trial(bench: Bench, server: Server, spoil: Spoil, states: Mapping[int, str]) -> list[str]:
    project = bench.project(SPOILT)
    ending = server.run(project, TRAIN, variables={VARIABLE: json.dumps(asdict(spoil))})
    wrong = [*_of_ending(ending), *_of_checkpoints(project, spoil, states, ending)]
    wrong += [f"{path.name} holds {path}" for path in project.rglob("*.safetensors") if _bad(path)]
    if (project / "models/active").exists():
        wrong.append("a model was made of it")
    if not wrong:
        shutil.rmtree(project)
    return wrong


def _of_ending(ending: Ending) -> list[str]:
    last = " / ".join(ending.output.strip().splitlines()[-4:])
    return [] if ending.code == DIVERGED else [f"exit {ending.code}: {last}"]


def _of_checkpoints(
    project: Path, spoil: Spoil, states: Mapping[int, str], ending: Ending
) -> list[str]:
    found = [state for run in runs(project) for state in states_of(run).items()]
    wrong = [f"step {step} was saved after it" for step, _ in found if step >= spoil.step]
    wrong += [f"step {step} is not what it was" for step, state in found if states[step] != state]
    good = max((step for step in states if step < spoil.step), default=None)
    if good is not None and good not in dict(found):
        wrong.append(f"step {good} is gone")
    if good is not None and f"step-{good:08d}" not in ending.output:
        wrong.append(f"the last good checkpoint, step {good}, is not named")
    return wrong


def _bad(path: Path) -> bool:
    """Whether a file of tensors holds a number that is not finite."""
    tensors = load_file(path).values()
    return not all(bool(torch.isfinite(t).all()) for t in tensors if t.is_floating_point())
