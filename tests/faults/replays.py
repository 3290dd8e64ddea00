"""Power losses of a whole run: what a real training had written, lost in part, and continued."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.bench import Bench, spread
from tests.faults.crash_disk import Crash, Entry, Names, SyncFolder, read_log
from tests.faults.crash_states import power_losses
from tests.faults.figures import Figures
from tests.faults.judge import after_resume
from tests.faults.project import LIMIT, TRAIN, is_complete, states_of
from tests.faults.trials import Ending, Server

_STEP = re.compile(r"step-(\d+)")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run's log, and the project as it was before."""

    project: Path
    log: list[Entry]


def record(bench: Bench) -> Recorded:
    """Run once from nothing and keep every operation."""
    project, path = bench.project(), bench.folder("log") / "log.jsonl"
    untouched = bench.project()
    ending = bench.servers[0].run(project, TRAIN, record=path)
    if ending.code:
        raise AssertionError(f"the recorded run ended with {ending.code}:\n{ending.output}")
    return Recorded(untouched, read_log(path))


def replays(bench: Bench, trials: int) -> Figures:
    """Lose power at some moment of a run, then start it again."""
    figures, recorded = Figures("power loss of a whole run"), record(bench)
    crashes = list(power_losses(recorded.log, 3, bench.seed))
    figures.numbers = {"entries of the log": len(recorded.log), "possible states": len(crashes)}

    def trial(server: Server, crash: Crash) -> tuple[Crash, list[str]]:
        return crash, _trial(bench, server, recorded, crash)

    for crash, wrong in bench.map(trial, spread(crashes, trials)):
        figures.judge(f"power lost at {crash.stop}, {crash.how}", wrong)
    return figures.closed()


def _trial(bench: Bench, server: Server, recorded: Recorded, crash: Crash) -> list[str]:
    project = bench.folder("replay") / "project"
    shutil.copytree(recorded.project, project)
    crash.build(recorded.log, project)
    steps = saved(recorded.log, crash.stop)
    wrong = list(_lost(project, steps))
    complete = is_complete(project)
    ending = Ending(0, 0.0, False, "", ()) if complete else server.run(project, TRAIN)
    wrong += after_resume(project, bench.reference, ending)
    if steps and len({path.parent for path in project.glob("checkpoints/*/step-*")}) > 1:
        wrong.append(f"begun anew although step {steps[-1]} had been saved")
    if not wrong:
        shutil.rmtree(project.parent)
    return wrong


def saved(log: Sequence[Entry], stop: int) -> list[int]:
    """The steps whose names had been synchronised in their run's folder, ascending."""
    named: dict[int, set[int]] = {}
    steps: set[int] = set()
    for entry in log[:stop]:
        if isinstance(entry, Names):
            for folder, name, node in entry.changes:
                match = _STEP.fullmatch(name)
                if match and node is not None:
                    named.setdefault(folder, set()).add(int(match[1]))
        elif isinstance(entry, SyncFolder):
            steps |= named.get(entry.node, set())
    return sorted(steps)


def _lost(project: Path, steps: Sequence[int]) -> Iterator[str]:
    runs = (project / "checkpoints").glob("*")
    whole = {step for run in runs for step in states_of(run)}
    for step in steps[-LIMIT:]:
        if step not in whole:
            yield f"step {step} was saved and cannot be loaded"
