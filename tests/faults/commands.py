"""Damaged files and the command line: refused with the file's name, or made good, loudly."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.bench import Bench, spread
from tests.faults.corruption import RECORDS
from tests.faults.damage import Damage, damages, put
from tests.faults.figures import Figures
from tests.faults.project import TRAIN, final_weights, runs
from tests.faults.seam import Fault
from tests.faults.trials import Ending, Server

REFUSED = (2, 65)
GENERATE = ("generate", "--prompt", "a", "--max-new-tokens", "2")


@dataclass(frozen=True, slots=True)
class Target:
    """One file of a project, the command that uses it, and what may come of its damage."""

    base: Path
    path: Path
    command: tuple[str, ...]
    judge: Judge
    other: Path | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A target and its damage."""

    target: Target
    damage: Damage

    def __str__(self) -> str:
        path = self.target.path.relative_to(self.target.base)
        return f"llm {self.target.command[0]}, {path} {self.damage}"


Judge = Callable[[Case, Path, Ending, str], list[str]]
"""Of a case, in a project, that ended so; the weights that the run should have made."""


def commands(bench: Bench, share: int | None = None) -> Figures:
    """Each kind of damage to each file, met by the command that uses it."""
    figures, rng = Figures("damaged files and the command line"), bench.rng("commands")
    cases = [
        Case(target, damage)
        for target in _targets(bench)
        for damage in damages(target.path.stat().st_size, 4, rng)
    ]
    weights = bench.reference.weights

    def trial(server: Server, case: Case) -> tuple[Case, str, list[str]] | None:
        return _trial(bench, server, case, weights)

    for outcome in filter(None, bench.map(trial, spread(cases, share))):
        case, fared, wrong = outcome
        figures.judge(str(case), wrong)
        figures.counts[fared] += 1
    return figures.closed()


def _targets(bench: Bench) -> Iterator[Target]:
    prepared, halfway, complete = bench.reference.project, _halfway(bench), _complete(bench)
    (run,) = runs(halfway)
    older, newest = sorted(run.glob("step-*"))
    for path in _files(newest):
        yield Target(halfway, path, TRAIN, _falls_back, older / path.name)
    for path in _files(run / "best"):
        yield Target(halfway, path, TRAIN, _named_or_same, older / path.name)
    for path in _files(halfway / "logs" / run.name):
        yield Target(halfway, path, TRAIN, _refused_or_same)
    for folder in (prepared / "tokenizer", *sorted((prepared / "data/processed").rglob("*"))):
        for path in _files(folder) if folder.is_dir() else ():
            yield Target(prepared, path, TRAIN, _named_or_same)
    for path in _files(prepared / "data/processed"):
        yield Target(prepared, path, TRAIN, _named_or_same)
    for path in _files(complete / "models/v1"):
        yield Target(complete, path, GENERATE, _named)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.stat().st_size)


def _halfway(bench: Bench) -> Path:
    """A project whose run was killed when it had two checkpoints and a best one."""
    site = "make_folder checkpoints/RUN/.tmp-step-00000006-PID#1"
    project = bench.project()
    ending = bench.servers[0].run(project, TRAIN, [Fault(site, "kill")])
    if not ending.killed:
        raise AssertionError(f"{site} was not met: {ending.output}")
    return project


def _complete(bench: Bench) -> Path:
    project = bench.project()
    ending = bench.servers[0].run(project, TRAIN)
    if ending.code:
        raise AssertionError(f"an undisturbed run ended with {ending.code}: {ending.output}")
    return project


def _trial(
    bench: Bench, server: Server, case: Case, weights: str
) -> tuple[Case, str, list[str]] | None:
    target = case.target
    before = target.path.read_bytes()
    other = target.other.read_bytes() if target.other and target.other.is_file() else None
    after = case.damage.of(before, other)
    if after == before or (case.damage.kind == "swapped" and other is None):
        return None
    project = bench.folder("damaged") / "project"
    shutil.copytree(target.base, project)
    put(project / target.path.relative_to(target.base), after)
    ending = server.run(project, target.command)
    wrong = target.judge(case, project, ending, weights)
    if "Traceback" in ending.output or "a bug in" in ending.output:
        wrong.append("told as a bug")
    if not wrong:
        shutil.rmtree(project.parent)
    return case, f"exit {ending.code}", wrong


def _falls_back(case: Case, project: Path, ending: Ending, weights: str) -> list[str]:
    """The older checkpoint is used, the damaged one is named, the end is the same."""
    wrong = _same(project, ending, weights)
    if case.target.path.parent.name not in ending.output:
        wrong.append("the damaged checkpoint is not named")
    return wrong


def _named_or_same(case: Case, project: Path, ending: Ending, weights: str) -> list[str]:
    """Refused with the name of the file, or as if nothing had been damaged."""
    return _named(case, project, ending, weights) and _same(project, ending, weights)


def _refused_or_same(case: Case, project: Path, ending: Ending, weights: str) -> list[str]:
    return [] if ending.code in REFUSED else _same(project, ending, weights)


def _named(case: Case, project: Path, ending: Ending, weights: str) -> list[str]:
    del project, weights
    if case.damage.kind == "missing" and ending.code == 2:
        return []  # a folder without the file that makes it a model is not seen as one
    if ending.code != 65:
        return [f"exit {ending.code}: {_last(ending)}"]
    name = (
        case.target.path.parent.name if case.target.path.name in RECORDS else case.target.path.name
    )
    return [] if name in ending.output else [f"the file is not named: {_last(ending)}"]


def _same(project: Path, ending: Ending, weights: str) -> list[str]:
    if ending.code:
        return [f"exit {ending.code}: {_last(ending)}"]
    return [] if final_weights(project) == weights else ["the final weights differ, silently"]


def _last(ending: Ending) -> str:
    return " / ".join(ending.output.strip().splitlines()[-4:])
