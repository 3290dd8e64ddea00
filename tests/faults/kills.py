"""SIGKILL at every operation of a whole run, at random moments, and again while it recovers."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.bench import Bench, spread
from tests.faults.figures import Figures
from tests.faults.judge import after_fault, after_resume
from tests.faults.project import TRAIN, is_complete
from tests.faults.seam import ANY, Fault
from tests.faults.trials import Ending, Server

IN_A_ROW = 5


@dataclass(frozen=True, slots=True)
class Chain:
    """Kills of one project, one after another: at operations, or after so many seconds."""

    kills: tuple[Fault | float, ...]

    def __str__(self) -> str:
        return ", then ".join(
            f"after {kill:.3f} s" if isinstance(kill, float) else _words(kill)
            for kill in self.kills
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one chain.

    Attributes:
        struck: how many of the kills met a live process.
        wrong: what was not as it must be.
    """

    chain: Chain
    struck: int
    wrong: list[str]


def sweep(bench: Bench, share: int | None = None) -> Figures:
    """Kill before every operation, and in the middle of every write; `share`: at most so many."""
    operations = bench.reference.operations
    faults = [Fault(op.site, "kill") for op in operations]
    faults += [Fault(op.site, "tear") for op in operations if op.what == "write"]
    figures = Figures("SIGKILL at every operation")
    figures.numbers = {"operations of the run": len(operations), "kill points": len(faults)}
    chains = [Chain((fault,)) for fault in spread(faults, share)]
    return _run(bench, figures, chains)


def moments(bench: Bench, trials: int) -> Figures:
    """Kill at random moments of a run."""
    rng, seconds = bench.rng("moments"), bench.reference.ending.seconds
    chains = [Chain((rng.uniform(0.0, seconds),)) for _ in range(trials)]
    return _run(bench, Figures("SIGKILL at random moments"), chains)


def recoveries(bench: Bench, trials: int) -> Figures:
    """Kill, and kill the runs that go on from there: up to five in a row."""
    rng, count = bench.rng("recoveries"), len(bench.reference.operations)
    chains = []
    for number in range(trials):
        first = Fault(ANY, "kill", skip=rng.randrange(count))
        # A run that goes on has fewer operations the further it had come.
        again = [Fault(ANY, "kill", skip=rng.randrange(count // 2)) for _ in range(IN_A_ROW - 1)]
        chains.append(Chain((first, *again[: 1 + number % (IN_A_ROW - 1)])))
    return _run(bench, Figures("SIGKILL during recovery"), chains)


def _run(bench: Bench, figures: Figures, chains: Sequence[Chain]) -> Figures:
    def trial(server: Server, chain: Chain) -> Outcome:
        return _trial(bench, server, chain)

    for outcome in bench.map(trial, chains):
        figures.judge(f"killed {outcome.chain}", outcome.wrong)
        figures.counts["kills"] += outcome.struck
    return figures.closed()


def _trial(bench: Bench, server: Server, chain: Chain) -> Outcome:
    project, endings, wrong = bench.project(), list[Ending](), list[str]()
    for kill in chain.kills:
        ending = _start(server, project, kill)
        endings.append(ending)
        if not ending.killed:
            break
        wrong += after_fault(project, bench.reference, endings)
        if is_complete(project):
            break
    struck = sum(ending.killed for ending in endings)
    if endings[-1].killed and not is_complete(project):
        endings.append(server.run(project, TRAIN))
    wrong += _unless_complete(project, bench, endings[-1])
    if not wrong:
        shutil.rmtree(project)
    return Outcome(chain, struck, wrong)


def _unless_complete(project: Path, bench: Bench, last: Ending) -> list[str]:
    """A run that was killed after it had said that it is complete is judged as it lies."""
    complete = is_complete(project)
    code = 0 if last.killed and complete else last.code
    ending = Ending(code, last.seconds, last.hung, last.output, last.operations)
    return after_resume(project, bench.reference, ending)


def _start(server: Server, project: Path, kill: Fault | float) -> Ending:
    if isinstance(kill, float):
        return server.run(project, TRAIN, kill_after=kill)
    return server.run(project, TRAIN, [kill])


def _words(fault: Fault) -> str:
    place = f"operation {fault.skip}" if fault.site == ANY else fault.site
    return f"in the middle of {place}" if fault.what == "tear" else f"before {place}"
