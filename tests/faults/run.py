"""The fault harness: every section, a table of figures, and a file of them.

python -m tests.faults                     all of it, an hour or more on two cores
python -m tests.faults kills errors        some sections
python -m tests.faults --quick             the share that runs with every test run
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from tests.faults.bench import Bench, spread
from tests.faults.commands import commands
from tests.faults.corruption import corruption
from tests.faults.errnos import errors
from tests.faults.figures import Figures
from tests.faults.kills import moments, recoveries, sweep
from tests.faults.mutants import mutants
from tests.faults.network import network
from tests.faults.nonfinite import nonfinite
from tests.faults.power import Amount, power
from tests.faults.replays import replays
from tests.faults.rewind import rewind, set_stage
from tests.faults.stock import stock
from tests.faults.threads import threads

OUTPUT = Path("build/faults.json")
SHOWN = 20
"""Trials that went wrong in the terminal; the file has all of them."""

Part = Callable[[Bench], Figures]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of each section is run; None: all there is."""

    power: Amount
    mutants: Amount
    sweep: int | None
    moments: int
    recoveries: int
    replays: int
    errors: int | None
    files: int
    commands: int | None
    nonfinite: int | None
    rewind: int | None
    network: int | None


FULL = Scale(
    Amount(6, 3000), Amount(2, 500), None, 200, 100, 400, None, 260, None, None, None, None
)
QUICK = Scale(Amount(1, 40, every=25), Amount(1, 60), 20, 20, 6, 6, 20, 4, 24, 8, 8, 24)


def sections(scale: Scale) -> Mapping[str, Sequence[Part]]:
    """What can be asked for by name."""
    return {
        "power": [lambda bench: power(bench, scale.power)],
        "mutants": [lambda bench: mutants(bench, scale.mutants)],
        "kills": [
            lambda bench: sweep(bench, scale.sweep),
            lambda bench: moments(bench, scale.moments),
            lambda bench: recoveries(bench, scale.recoveries),
        ],
        "rewind": [lambda bench: _rewind(bench, scale.rewind)],
        "replays": [lambda bench: replays(bench, scale.replays)],
        "errors": [lambda bench: errors(bench, scale.errors)],
        "corruption": [
            lambda bench: corruption(bench, scale.files),
            lambda bench: stock(bench, scale.files * 6),
            lambda bench: commands(bench, scale.commands),
        ],
        "threads": [threads],
        "nonfinite": [lambda bench: nonfinite(bench, scale.nonfinite)],
        "network": [lambda bench: network(bench, scale.network)],
    }


def _rewind(bench: Bench, share: int | None) -> Figures:
    stage = set_stage(bench)
    return rewind(bench, stage, spread(stage.moments, share))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 if a trial went wrong."""
    names = list(sections(FULL))
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="a small share of each section")
    parser.add_argument("--seed", type=int, default=0, help="of all that is sampled")
    parser.add_argument("--workers", type=int, default=2, help="trials beside each other")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the file of figures")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.sections) - set(names))
    if unknown:
        parser.error(f"no such section: {', '.join(unknown)}; there are {', '.join(names)}")
    chosen = sections(QUICK if options.quick else FULL)
    parts = [part for name in options.sections or names for part in chosen[name]]
    console = Console()
    console.print(f"seed {options.seed}, {options.workers} workers")
    figures = _run(parts, options, console)
    console.print(f"figures: {options.output}")
    return int(any(each.wrong for each in figures))


def _run(parts: Sequence[Part], options: argparse.Namespace, console: Console) -> list[Figures]:
    done = list[Figures]()
    with Bench(workers=options.workers, seed=options.seed) as bench:
        for part in parts:
            started = time.monotonic()
            figures = part(bench)
            figures.numbers["seconds"] = round(time.monotonic() - started, 1)
            console.print(_table(figures))
            for wrong in figures.wrong[:SHOWN]:
                console.print(f"  wrong: {wrong}", markup=False, highlight=False)
            done.append(figures)
            _write(options.output, done, options)  # so that an interruption keeps what there is
    return done


def _table(figures: Figures) -> Table:
    table = Table(title=figures.name, title_justify="left", show_header=False)
    for name, value in figures.numbers.items():
        table.add_row(name, str(value))
    return table


def _write(path: Path, figures: Sequence[Figures], options: argparse.Namespace) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "seed": options.seed,
        "quick": options.quick,
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sections": [
            {"name": each.name, "figures": each.numbers, "wrong": each.wrong} for each in figures
        ],
    }
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
