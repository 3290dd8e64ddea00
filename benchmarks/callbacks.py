"""What the callbacks wandb and tensorboard cost, whatever becomes of the service.

    python benchmarks/callbacks.py [--pairs 200] [--only NAME …]

Trains a tiny model, with steps of some ten milliseconds, once for each case. In a run bursts of ten
steps, of which one is logged, take turns with and without the callback; while it is not its turn,
processes of its own stand still. The first case has no callback at all, and says how exact the
others are.

On stdout one JSON line a case:
    ratio                   of the time of a step with the callback to one without: the median of
                            the pairs of neighbouring bursts
    low, high               between which it lies, with a certainty of 95 %
    cpu_ratio               the same of processor time, which other programs disturb less
    step_ms                 a step without it
    call_ms, longest_ms     how long the loop waits for one call: median, and the longest
    beside                  what processes of its own use of one core meanwhile
    start, end, exit        seconds by which it holds up the beginning of a run, its end, and after
                            that the end of the program
A table goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from callback_turns import CASES
from create_llm_train import make_project

CHILD = Path(__file__).with_name("callback_turns.py")
Burst = tuple[bool, float, float]
"""Whether the callback listened, seconds, and seconds of processor time."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=200, help="of bursts, in each case")
    parser.add_argument(
        "--only", choices=CASES, action="append", metavar="NAME", help=str([*CASES])
    )
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory(prefix="create-llm-bench-") as folder:
        root = make_project(Path(folder))
        for case in options.only or CASES:
            lines.append({"case": case, **figures(run(root, case, options.pairs))})
            print(json.dumps(lines[-1]), flush=True)
    print(table(lines), file=sys.stderr)


def run(root: Path, case: str, pairs: int) -> dict[str, Any]:
    """What one process measured, in a home without anything of wandb's."""
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
        told: dict[str, Any] = json.loads(out.read().splitlines()[-1])
    return {**told, "exit": ended - told["trained_at"]}


def figures(told: dict[str, Any]) -> dict[str, float]:
    bursts: list[Burst] = told["bursts"]
    ratios, calls = ratios_of(bursts, clock=1), told["calls"]
    low, high = bounds(ratios)
    quiet = [seconds for turn, seconds, _ in bursts if not turn]
    listened = sum(seconds for turn, seconds, _ in bursts if turn)
    return {
        "ratio": round(median(ratios), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "cpu_ratio": round(median(ratios_of(bursts, clock=2)), 4),
        "pairs": len(ratios),
        "step_ms": round(median(quiet) / told["length"] * 1000, 2),
        "call_ms": round(median(calls) * 1000, 3),
        "longest_ms": round(max(calls) * 1000, 1),
        "beside": round(told["beside"] / listened, 4),
        **{name: round(told[name], 1) for name in ("start", "end", "exit")},
    }


def ratios_of(bursts: Sequence[Burst], clock: int) -> list[float]:
    """Of each two neighbours, the burst with the callback to that without."""
    neighbours = zip(bursts[::2], bursts[1::2], strict=True)
    pairs = [{burst[0]: burst[clock] for burst in pair} for pair in neighbours]
    return [pair[True] / pair[False] for pair in pairs]


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """Between which the median of what these are drawn from lies, with a certainty of 95 %: the
    values so many ranks below and above the middle (the sign test, in its normal approximation)."""
    ranked, count = sorted(values), len(values)
    below = max(math.floor((count - 1.96 * math.sqrt(count)) / 2), 0)
    return ranked[below], ranked[count - 1 - below]


def table(lines: Sequence[dict[str, Any]]) -> str:
    rows = [
        f"{'case':<40}{'step':>8}{'95 %':>18}{'cpu':>8}{'call ms':>9}{'longest':>9}{'beside':>8}"
        f"{'start s':>9}{'end s':>8}{'exit s':>8}"
    ]
    for each in lines:
        between = f"{each['low'] - 1:+.1%} … {each['high'] - 1:+.1%}"
        rows.append(
            f"{each['case']:<40}{each['ratio'] - 1:>+8.2%}{between:>18}"
            f"{each['cpu_ratio'] - 1:>+8.2%}{each['call_ms']:>9.2f}"
            f"{each['longest_ms']:>9.1f}{each['beside']:>8.1%}"
            f"{each['start']:>9.1f}{each['end']:>8.1f}{each['exit']:>8.1f}"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
