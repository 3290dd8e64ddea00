"""The number of threads is part of a run: it is recorded, kept, and missed when it is not there."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.faults.bench import Bench
from tests.faults.figures import Figures
from tests.faults.project import TOML, TRAIN, final_weights
from tests.faults.seam import Fault
from tests.faults.trials import Ending, Server

# Wide enough that torch divides the work: smaller products give the same bits on any number.
WIDE = (
    TOML.replace("dim = 16", "dim = 128")
    .replace("ffn_dim = 32", "ffn_dim = 256")
    .replace("max_length = 16", "max_length = 64")
    .replace("batch_size = 2", 'batch_size = 8\nprecision = "fp32"')
)
HALFWAY = Fault("make_folder checkpoints/RUN/.tmp-step-00000006-PID#1", "kill")
TOO_MANY = 4 * (os.cpu_count() or 1)


def threads(bench: Bench, toml: str = WIDE) -> Figures:
    """Runs begun under one number of threads and continued under the other."""
    figures = Figures("threads")
    servers = {number: bench.server(threads=number) for number in (1, 2)}
    straight = {number: _straight(bench, server, toml) for number, server in servers.items()}
    figures.numbers["weights of 1 and 2 threads"] = (
        "equal here" if straight[1] == straight[2] else "differ"
    )
    for number, other in ((1, 2), (2, 1)):
        wrong = _continued(bench.project(toml), servers[number], servers[other], straight[number])
        figures.judge(f"begun with {number}, continued where {other} would be used", wrong)
    told = _told_of_missing(bench.project(toml), servers[1])
    figures.judge(f"{TOO_MANY} threads recorded", [] if told else ["not warned about"])
    return figures.closed()


def _straight(bench: Bench, server: Server, toml: str) -> str:
    project = bench.project(toml)
    _expect(server.warm_up(project, TRAIN), 0)
    return final_weights(project)


def _continued(project: Path, first: Server, second: Server, weights: str) -> list[str]:
    wrong = list[str]()
    _expect(first.run(project, TRAIN, [HALFWAY]), -9)
    number = recorded(project)
    if number != first.threads:
        wrong.append(f"run.json records {number} threads, not {first.threads}")
    _expect(second.run(project, TRAIN), 0)
    if recorded(project) != number:
        wrong.append(f"going on changed the record to {recorded(project)}")
    if final_weights(project) != weights:
        wrong.append("the final weights differ")
    return wrong


def _told_of_missing(project: Path, server: Server) -> bool:
    """Whether going on with more threads than there are processors is warned about."""
    _expect(server.run(project, TRAIN, [HALFWAY]), -9)
    (path,) = project.glob("logs/*/run.json")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["frozen"]["threads"] = TOO_MANY
    path.write_text(json.dumps(manifest), encoding="utf-8")
    ending = server.run(project, TRAIN)
    return ending.code != 0 or f"{TOO_MANY} threads" in ending.output


def recorded(project: Path) -> int:
    """The number of threads in run.json."""
    (path,) = project.glob("logs/*/run.json")
    return int(json.loads(path.read_text(encoding="utf-8"))["frozen"]["threads"])


def _expect(ending: Ending, code: int) -> None:
    if ending.code != code:
        raise AssertionError(f"ended with {ending.code}, not {code}:\n{ending.output}")
