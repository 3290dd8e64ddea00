"""Training speed of this project beside its peers, on this machine.

    python benchmarks/throughput.py [--rounds 3] [--steps 8] [--warmup 4] [--only NAME …]

Every contender trains the same model on random tokens: GPT, 4 layers, 4 heads, width 256,
vocabulary 10,000, context 512, batch 16; a step is forward, backward, clipping, update and
schedule. Each runs in a process of its own, in turn, in several rounds, so that a busy moment of
the machine touches all of them. The figure is the median over all steps of the wall-clock time
from one step's end to the next one's.

On stdout one JSON line a contender: name, tokens_per_second, gflops, share_of_peak, and more; a
contender that failed has `error` and no figures. gflops counts the same operations for all (see
workload.py); share_of_peak is that of a bf16 matrix product of torch, measured before and after.
Progress, and a table with ratios at the end, go to stderr. Peers are installed on first use into
environments below ~/.cache/create-llm-bench.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from contenders import (
    CONTENDERS,
    Contender,
    ContenderError,
    Finished,
    matmul_peak,
    run_contender,
)

OURS = "create-llm"
BUSY = 0.5
"""Load average from which other programs are likely to show in the figures."""


@dataclass(slots=True)
class Results:
    """What is known of a contender so far."""

    contender: Contender
    finished: list[Finished] = field(default_factory=list)
    error: str | None = None

    def tokens_per_second(self) -> float:
        return self._speed([second for done in self.finished for second in done.run.seconds])

    def by_round(self) -> list[float]:
        return [self._speed(done.run.seconds) for done in self.finished]

    def _speed(self, seconds: Sequence[float]) -> float:
        return self.contender.shape.tokens_per_step / median(seconds)


def main() -> None:
    options = _arguments()
    results = [Results(contender) for contender in _chosen(options.only)]
    if os.getloadavg()[0] > BUSY:
        _say(f"warning: the machine is busy (load {os.getloadavg()[0]:.1f}), figures will mislead")
    before = _measure_peak()
    for number in range(1, options.rounds + 1):
        for result in results:
            _run_round(result, options.warmup, options.steps)
            _say(f"round {number}/{options.rounds}  {_progress(result)}")
    after = _measure_peak()
    peak = max(before["bf16"], after["bf16"])
    lines = [as_line(result, peak) for result in results]
    for line in lines:
        print(json.dumps(line), flush=True)
    _say(table(lines, peak))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=_positive, default=3, help="processes of each contender")
    parser.add_argument("--steps", type=_positive, default=8, help="steps that count, a process")
    parser.add_argument("--warmup", type=_positive, default=4, help="steps before them")
    names = [contender.name for contender in CONTENDERS]
    parser.add_argument("--only", choices=names, action="append", metavar="NAME", help=str(names))
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _chosen(only: Sequence[str] | None) -> list[Contender]:
    if only is None:
        return [contender for contender in CONTENDERS if contender.by_default]
    return [contender for contender in CONTENDERS if contender.name in only]


def _measure_peak() -> dict[str, float]:
    peak = matmul_peak()
    _say("2048³ matrix product: " + ", ".join(f"{k} {v:.0f} GFLOP/s" for k, v in peak.items()))
    return peak


def _run_round(result: Results, warmup: int, steps: int) -> None:
    """One more process of the contender; after a failure none is tried again."""
    if result.error is not None:
        return
    try:
        result.finished.append(run_contender(result.contender, warmup, steps))
    except ContenderError as error:
        result.error = str(error)


def _progress(result: Results) -> str:
    speed = f"{result.by_round()[-1]:,.0f} tokens/s" if result.error is None else result.error
    return f"{result.contender.name}: {speed}"


def as_line(result: Results, peak: float) -> dict[str, Any]:
    """The contender's JSON line; `peak` in GFLOP/s."""
    name, about = result.contender.name, result.contender.about
    if result.error is not None:
        return {"name": name, "error": result.error, "about": about}
    speed, last = result.tokens_per_second(), result.finished[-1].run
    gflops = speed * result.contender.shape.flops_per_token / 1e9
    return {
        "name": name,
        "tokens_per_second": round(speed, 1),
        "gflops": round(gflops, 1),
        "share_of_peak": round(gflops / peak, 4),
        "peak_gflops": round(peak, 1),
        "by_round": [round(value, 1) for value in result.by_round()],
        "steps": sum(len(done.run.seconds) for done in result.finished),
        "parameters": last.parameters,
        "precision": last.precision,
        "peak_rss_mb": round(max(done.peak_rss_bytes for done in result.finished) / 1e6),
        "cores": os.cpu_count(),
        "about": about,
        "note": last.note,
    }


def table(lines: Sequence[dict[str, Any]], peak: float) -> str:
    """For people: the figures, and how many times as fast this project's engine is."""
    measured = {line["name"]: line for line in lines if "error" not in line}
    ours = measured.get(OURS)
    rows = [
        f"{'contender':<30}{'tokens/s':>10}{'GFLOP/s':>9}{'of peak':>9}{'spread':>8}{'RSS MB':>8}"
        f"  {OURS} is"
    ]
    for line in lines:
        if "error" in line:
            rows.append(f"{line['name']:<30}failed: {line['error']}")
            continue
        ratio = f"{ours['tokens_per_second'] / line['tokens_per_second']:.2f} ×" if ours else ""
        rows.append(
            f"{line['name']:<30}{line['tokens_per_second']:>10,.0f}{line['gflops']:>9.0f}"
            f"{line['share_of_peak']:>9.1%}{_spread(line['by_round']):>8.0%}"
            f"{line['peak_rss_mb']:>8}  {ratio}"
        )
    return "\n".join([*rows, f"peak: {peak:.0f} GFLOP/s in bf16, {os.cpu_count()} cores"])


def _spread(by_round: Sequence[float]) -> float:
    """By how much the fastest round beat the slowest."""
    return max(by_round) / min(by_round) - 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
