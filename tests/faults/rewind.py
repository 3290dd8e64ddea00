"""SIGKILL while a run goes back because a callback asked for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from create_llm.runs.run import runs_of
from tests.faults.bench import Bench
from tests.faults.figures import Figures
from tests.faults.judge import after_resume
from tests.faults.project import TOML, TRAIN, Reference, final_weights, is_complete, measure
from tests.faults.rewinder import MUTANT, install_rewinder
from tests.faults.seam import ANY, Fault
from tests.faults.trials import Operation, Server

REWOUND = TOML.replace("plugins = []", 'plugins = ["rewinder"]')


@dataclass(frozen=True, slots=True)
class Stage:
    """A fork server that knows the callback, and the run that nothing kills."""

    server: Server
    reference: Reference

    @property
    def moments(self) -> list[int]:
        """The numbers of the operations while the run goes back, and some before and after."""
        first, last = self._written
        return list(range(first - 12, last + 12))

    @property
    def too_early(self) -> int:
        """An operation after run.json would have been written twice, if that were a mistake."""
        return self._written[0] + 8

    @property
    def _written(self) -> tuple[int, int]:
        """When run.json was put in place, before the abandoned checkpoint went and after."""
        operations = self.reference.operations
        gone = next(n for n, op in enumerate(operations) if _is_abandoned(op))
        written = [n for n, op in enumerate(operations) if op.target == "logs/RUN/run.json"]
        return max(n for n in written if n < gone), min(n for n in written if n > gone)


def set_stage(bench: Bench) -> Stage:
    server = bench.server(overlays=[install_rewinder(bench.folder("plugin"))])
    return Stage(server, measure(server, bench.folder("reference"), REWOUND))


def rewind(bench: Bench, stage: Stage, moments: Sequence[int], mutant: str = "") -> Figures:
    """Kill before these operations.

    Args:
        mutant: a mistake in the order of things, which must be noticed.
    """
    figures = Figures("SIGKILL while a run goes back")
    figures.numbers = {"kill points": len(moments)}
    for number in moments:
        wrong = _trial(bench, stage, number, {MUTANT: mutant} if mutant else {})
        figures.judge(f"killed before operation {number}", wrong)
    return figures.closed()


def _is_abandoned(op: Operation) -> bool:
    """Whether it removes step 4: the first time, before it is made and rotated anew."""
    return op.what == "rename" and op.path.endswith("step-00000004") and "/.tmp-" in op.target


def _trial(bench: Bench, stage: Stage, number: int, variables: Mapping[str, str]) -> list[str]:
    server = stage.server
    project = bench.project(REWOUND)
    fault = Fault(ANY, "kill", skip=number)
    killed = server.run(project, TRAIN, [fault], variables=variables)
    if not killed.killed:
        return [f"ended with {killed.code} before it could be killed"]
    ending = server.run(project, TRAIN, variables=variables)
    wrong = (
        after_resume(project, stage.reference, ending) if is_complete(project) else ["incomplete"]
    )
    wrong += _lineage(project)
    if not wrong:
        shutil.rmtree(project)
    return wrong


def _lineage(project: Path) -> list[str]:
    """What the run's files say of its going back."""
    run = list(runs_of(project / "logs", project / "checkpoints"))[-1]
    manifest, wrong = run.manifest(), []
    if [remedy["from_step"] for remedy in manifest.get("remedies", [])] != [2]:
        wrong.append(f"run.json tells of {manifest.get('remedies')}")
    if "rewind" in manifest:
        wrong.append("run.json says that it is going back")
    version = (project / "models/active").read_text().strip()
    made = json.loads((project / "models" / version / "create_llm.json").read_text())
    if made["remedies"] != manifest["remedies"] or run.summary()["remedies"] != made["remedies"]:
        wrong.append("the bundle or the summary tells another story")
    return wrong


def killed_later(bench: Bench, stage: Stage) -> list[str]:
    """What differs where a run that went back is killed once more, long after."""
    server, operations = stage.server, stage.reference.operations
    project = bench.project(REWOUND)
    late = [n for n, op in enumerate(operations) if op.target.endswith("step-00000006")]
    killed = server.run(project, TRAIN, [Fault(ANY, "kill", skip=late[-1] + 3)])
    wrong = [] if killed.killed else [f"ended with {killed.code}"]
    wrong += after_resume(project, stage.reference, server.run(project, TRAIN))
    plain = bench.project()
    server.run(plain, TRAIN)
    if final_weights(plain) == stage.reference.weights:
        wrong.append("going back changed nothing, so that nothing is shown")
    return wrong
