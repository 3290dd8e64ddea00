"""How long the command line takes to start, beside a Python that does nothing.

    python benchmarks/startup.py [--runs 30] [--json]

Each command runs in a process of its own, in turn, so that a busy moment of the machine touches
all of them; times are wall-clock milliseconds, files in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

LLM = str(Path(sys.executable).with_name("llm"))
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "llm --help": [LLM, "--help"],
    "llm plugins list": [LLM, "plugins", "list"],
}
BASELINE = "python -c pass"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="processes of each command")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args()
    report = summary(measure(options.runs))
    if options.json:
        print(json.dumps({"runs": options.runs, "cores": os.cpu_count(), "commands": report}))
        return
    print(f"{'command':<18}{'median ms':>11}{'min ms':>9}{'x python':>10}")
    for name, figures in report.items():
        print(
            f"{name:<18}{figures['median_ms']:>11.1f}{figures['min_ms']:>9.1f}"
            f"{figures['ratio']:>10.1f}"
        )


def measure(runs: int) -> dict[str, list[float]]:
    """Milliseconds of each run, after one that fills the caches."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for name in COMMANDS:
        run(name)
    for _ in range(runs):
        for name in COMMANDS:
            times[name].append(run(name))
    return times


def run(name: str) -> float:
    started = time.perf_counter()
    subprocess.run(COMMANDS[name], check=True, capture_output=True)
    return (time.perf_counter() - started) * 1000


def summary(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    baseline = statistics.median(times[BASELINE])
    return {
        name: {
            "median_ms": round(statistics.median(values), 1),
            "min_ms": round(min(values), 1),
            "ratio": round(statistics.median(values) / baseline, 1),
        }
        for name, values in times.items()
    }


if __name__ == "__main__":
    main()
