"""Runs as a list of losses: what the rules and the guard hear of them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from create_llm.runs.events import EvalEnd, StepEnd, TrainStart
from create_llm.testing import events
from create_llm_guard.findings import Finding
from create_llm_guard.rules import rules_of
from create_llm_guard.rules.base import Run

GUESS = math.log(300)


def train_start(folder: Path = Path(), **changes: Any) -> TrainStart:
    training = {"learning_rate": 3e-3, "warmup_steps": 10, "gradient_clip": 1.0}
    facts: dict[str, Any] = {
        "parameters": 20_000,
        "total_steps": 200,
        "steps_per_epoch": 100.0,
        "tokens_per_step": 128,
        "train_tokens": 100_000,
        "config": {"training": training},
        "vocab_size": 300,
    }
    return events.train_start(folder, **{**facts, **changes})


def step_end(step: int, loss: float = 4.0, **changes: Any) -> StepEnd:
    facts: dict[str, Any] = {
        "loss": loss,
        "learning_rate": 3e-3,
        "tokens_per_second": 1000.0,
        "grad_norm": 1.0,
        "tokens": 128 * step,
        "memory_bytes": 10**8,
        "memory_total_bytes": 10**10,
    }
    return events.step_end(step, **{**facts, **changes})


def eval_end(step: int, val_loss: float, train_loss: float | None = None) -> EvalEnd:
    known = val_loss if train_loss is None else train_loss
    return events.eval_end(
        step, train_loss=known, val_loss=val_loss, val_bits_per_byte=None, best=False
    )


def learnt(step: int, total: int, low: float = 2.0) -> float:
    """The loss of a healthy run: it falls fast, then slowly."""
    return low + (GUESS - low) * math.exp(-6 * step / total)


def healthy(
    total: int, every: int, seed: int, noise: float, low: float = 2.0
) -> list[StepEnd | EvalEnd]:
    """With the noise of small batches, a warm-up, gradients that vary, and scores."""
    rng, events = random.Random(seed), list[StepEnd | EvalEnd]()
    for step in range(every, total + 1, every):
        loss = max(learnt(step, total, low) + rng.gauss(0, noise), 0.01)
        rate = 3e-3 * min(step / (total / 10), 0.1 + 0.9 * (1 - step / total))
        norm = math.exp(rng.gauss(0, 0.5))
        speed = 1000 * math.exp(rng.gauss(0, 0.2))
        events.append(
            step_end(step, loss, learning_rate=rate, grad_norm=norm, tokens_per_second=speed)
        )
        if step % (total // 5) == 0:
            events.append(eval_end(step, learnt(step, total, low) + 0.02, learnt(step, total, low)))
    return events


def found(events: Iterable[StepEnd | EvalEnd], **start: Any) -> list[Finding]:
    """What all rules say."""
    rules = rules_of(Run.of(train_start(**start)))
    said = [rule.begin() for rule in rules]
    for event in events:
        for rule in rules:
            said.append(rule.step(event) if isinstance(event, StepEnd) else rule.scored(event))
    return [finding for finding in said if finding is not None]


def names(findings: Sequence[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def curve(total: int, loss: Callable[[int], float], **changes: Callable[[int], float]) -> list[Any]:
    """One `step` event for each step, its fields by the step."""
    return [
        step_end(n, loss(n), **{name: value(n) for name, value in changes.items()})
        for n in range(1, total + 1)
    ]
