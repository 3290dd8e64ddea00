"""Every error of the system at every operation that can end with it."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from tests.faults.bench import Bench, spread
from tests.faults.figures import Figures
from tests.faults.judge import after_fault, after_resume
from tests.faults.project import LIMIT, TRAIN, leftovers, runs
from tests.faults.seam import ERRORS, Fault
from tests.faults.trials import Server

LASTING = frozenset({"ENOSPC", "EDQUOT", "EROFS"})
"""A full or read-only disk stays so; a failed medium or too many open files may pass."""
IO_EXIT = 74


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one error: how the run ended, what it left lying about, and what was wrong."""

    fault: Fault
    code: int
    left: int
    wrong: list[str]


def errors(bench: Bench, share: int | None = None) -> Figures:
    """An error at each operation; then the run goes on without it. `share`: at most so many."""
    operations = bench.reference.operations
    faults = [
        Fault(op.site, name, lasting=name in LASTING)
        for op in operations
        for name, possible in ERRORS.items()
        if op.what in possible
    ]

    def trial(server: Server, fault: Fault) -> Outcome:
        return _trial(bench, server, fault)

    figures = Figures("errors of the system")
    figures.numbers = {"operations × errors": len(faults)}
    for outcome in bench.map(trial, spread(faults, share)):
        figures.judge(f"{outcome.fault.what} at {outcome.fault.site}", outcome.wrong)
        figures.counts += Counter({_kind(outcome.code): 1})
        figures.counts["left temporary files until the next start"] += bool(outcome.left)
    return figures.closed()


def _kind(code: int) -> str:
    return {0: "went on", IO_EXIT: "exit 74"}.get(code, f"exit {code}")


def _trial(bench: Bench, server: Server, fault: Fault) -> Outcome:
    project = bench.project()
    ending = server.run(project, TRAIN, [fault])
    wrong = after_fault(project, bench.reference, [ending])
    left = len(leftovers(project))
    if ending.hung:
        wrong.append("it hung")
    if "Traceback" in ending.output:
        wrong.append(f"a stack trace: {ending.output.strip().splitlines()[-1]}")
    if ending.code not in (0, IO_EXIT):
        wrong.append(f"exit {ending.code}: {ending.output.strip().splitlines()[-1:]}")
    code = ending.code
    if code:
        ending = server.run(project, TRAIN)
    else:  # what could not be removed then goes when the store is opened again
        CheckpointStore(runs(project)[-1], LIMIT, Storage())
    wrong += after_resume(project, bench.reference, ending)
    _tidy(project, wrong)
    return Outcome(fault, code, left, wrong)


def _tidy(project: Path, wrong: list[str]) -> None:
    """Keep the project of a trial that went wrong."""
    if not wrong:
        shutil.rmtree(project)
