"""The machine: it gets slow, or its memory is nearly full."""

from __future__ import annotations

from statistics import median
from typing import ClassVar

import psutil

from create_llm.runs.events import StepEnd
from create_llm.training.callbacks import Overrides
from create_llm_guard.findings import Finding
from create_llm_guard.rules.base import Rule, Run
from create_llm_guard.series import Series


class Throughput(Rule):
    """Tokens a second fall to a third, for half a minute.

    5 logs in a row that last 30 s or more, each below a third of the median of the first 20 (10 at
    least). A machine that does something else for a moment is none; heat, swapping and a
    neighbour that stays are. Said once: it is likely to come again.
    """

    name: ClassVar[str] = "throughput"
    SHARE, LOGS, SECONDS = 1 / 3, 5, 30.0

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._speeds = Series()
        self._slow: list[float] = []
        self._tokens = 0
        self._told = False

    def step(self, event: StepEnd) -> Finding | None:
        tokens, self._tokens = event.tokens - self._tokens, event.tokens
        if not event.tokens_per_second > 0 or not self._speeds.add(
            event.step, event.tokens_per_second
        ):
            return None
        usual = median(self._speeds.first[:20])
        if len(self._speeds) <= 10 or event.tokens_per_second > self.SHARE * usual:
            self._slow = []
            return None
        self._slow.append(tokens / event.tokens_per_second)
        if self._told or len(self._slow) < self.LOGS or sum(self._slow) < self.SECONDS:
            return None
        self._told = True
        return Finding(
            self.name,
            event.step,
            f"{event.tokens_per_second:,.0f} tokens a second, down from {usual:,.0f}, for "
            f"{sum(self._slow):.0f} s",
            "Something else takes the machine, or it slows itself down",
            (
                "see what else runs: top, or nvidia-smi on a GPU",
                "on a laptop: plug it in, let it cool",
                "see whether it swaps: free -h",
            ),
        )


class Memory(Rule):
    """More than 90 % of the memory: of the GPU what this run took at most, else of the machine.

    On a GPU each micro-batch can be divided, which changes no number of the model. On a CPU freed
    memory stays with the process, so that this would show nothing: it is said only.
    """

    name: ClassVar[str] = "memory"
    SHARE = 0.9

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._told = False

    def step(self, event: StepEnd) -> Finding | None:
        used, total = self._used(event), event.memory_total_bytes
        if total is None or used <= self.SHARE * total:
            self._told = False
            return None
        if self._told:
            return None
        self._told = True
        where = "the GPU's" if self.run.on_gpu else "the machine's"
        return Finding(
            self.name,
            event.step,
            f"{used / 1e9:.1f} GB of {where} {total / 1e9:.1f} GB are taken, "
            f"{100 * used / total:.0f} %",
            "A little more and the run ends for want of memory",
            (
                "smaller micro-batches, as many samples a step: halve training.batch_size and "
                "double training.gradient_accumulation_steps",
                f"keep less of each layer: {self.run.again(gradient_checkpointing='true')}",
                "close what else needs memory",
            ),
            remedy=Overrides(divided=2) if self.run.on_gpu else None,
        )

    def _used(self, event: StepEnd) -> int:
        """Of a GPU, by this run; of a machine, where this process has the greater part, by all."""
        own = max(event.memory_bytes, event.memory_peak_bytes or 0)
        if self.run.on_gpu:
            return own
        memory = psutil.virtual_memory()
        taken = int(memory.total - memory.available)
        return max(taken if 2 * event.memory_bytes > taken else 0, event.memory_bytes)
