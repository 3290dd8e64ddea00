"""What the callbacks wandb and tensorboard cost a step of training, whatever becomes of the service.

    python benchmarks/callbacks.py [--pairs 40] [--only NAME …]

Trains the template nano, whose steps are the shortest of all templates, once for each case. In a
run bursts of ten steps, of which one is logged, take turns with and without the callback; while it
is not its turn, processes of its own stand still. The first case has no callback at all, and says
how exact the others are.

On stdout one JSON line a case: `ratio` of a step with to one without (median of the pairs of
neighbouring bursts) and the bounds between which it lies with a certainty of 95 % (`low`, `high`),
`step_ms` without, and by how many seconds the callback holds up the run's beginning (`start`), its
end (`end`), and then the end of the program (`exit`). A table goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from callback_turns import BURST, CASES
from create_llm_train import make_project

CHILD = Path(__file__).with_name("callback_turns.py")
Burst = tuple[bool, float]
"""Whether the callback listened, and seconds."""


@dataclass(frozen=True, slots=True)
class Line:
    case: str
    ratio: float
    low: float
    high: float
    pairs: int
    step_ms: float
    start: float
    end: float
    exit: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=40, help="of bursts, in each case")
    parser.add_argument("--only", choices=CASES, action="append", metavar="NAME", help=str([*CASES]))
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory(prefix="create-llm-bench-") as folder:
        root = make_project(Path(folder))
        for case in options.only or CASES:
            lines.append(measured(root, case, options.pairs))
            print(json.dumps(asdict(lines[-1])), flush=True)
    print(table(lines), file=sys.stderr)


def measured(root: Path, case: str, pairs: int) -> Line:
    """One run of the case, in a home without anything of wandb's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    command = [sys.executable, str(CHILD), str(root), case, "--pairs", str(pairs)]
    environment = {**kept, "HOME": str(root), "NETRC": os.devnull}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
        done = subprocess.run(command, env=environment, stdout=out, stderr=log, check=False)
        ended = time.time()
        out.seek(0)
        log.seek(0)
        if done.returncode:
            raise SystemExit(f"{case}: exit code {done.returncode}\n{log.read()}")
        told = json.loads(out.read().splitlines()[-1])
    waits = (told["start_seconds"], told["end_seconds"], ended - told["trained_at"])
    return line(case, told["bursts"], waits)


def line(case: str, bursts: Sequence[Burst], waits: tuple[float, float, float]) -> Line:
    ratios = ratios_of(bursts)
    low, high = bounds(ratios)
    without = statistics.median(seconds for listened, seconds in bursts if not listened)
    return Line(
        case,
        round(statistics.median(ratios), 4),
        round(low, 4),
        round(high, 4),
        len(ratios),
        round(without / BURST * 1000, 2),
        *(round(seconds, 1) for seconds in waits),
    )


def ratios_of(bursts: Sequence[Burst]) -> list[float]:
    """Of each two neighbours, the burst with the callback to that without."""
    pairs = (dict(pair) for pair in zip(bursts[::2], bursts[1::2], strict=True))
    return [pair[True] / pair[False] for pair in pairs]


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """Between which the median of what these are drawn from lies, with a certainty of 95 %: the
    values so many ranks below and above the middle (the sign test, in its normal approximation)."""
    ranked, count = sorted(values), len(values)
    below = max(math.floor((count - 1.96 * math.sqrt(count)) / 2), 0)
    return ranked[below], ranked[count - 1 - below]


def table(lines: Sequence[Line]) -> str:
    rows = [f"{'case':<42}{'step':>9}{'95 %':>18}{'start s':>9}{'end s':>8}{'exit s':>8}"]
    for each in lines:
        between = f"{each.low - 1:+.1%} … {each.high - 1:+.1%}"
        rows.append(
            f"{each.case:<42}{each.ratio - 1:>+9.2%}{between:>18}"
            f"{each.start:>9.1f}{each.end:>8.1f}{each.exit:>8.1f}"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
