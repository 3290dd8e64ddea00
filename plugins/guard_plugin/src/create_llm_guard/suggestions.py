"""What to do next time: a few things that do not contradict what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from create_llm.runs.events import EvalEnd
from create_llm.training.callbacks import Overrides
from create_llm_guard.findings import Finding
from create_llm_guard.rules.advice import (
    LEAST_STEPS,
    MORE_TEXT,
    larger_model,
    more_dropout,
    more_steps,
)
from create_llm_guard.rules.base import Run
from create_llm_guard.score import Quality, best_step

_MOST = 3
_HARMLESS = {"spikes", "throughput", "memory"}
"""Findings that do not say what the model lacks: general advice holds beside them."""


def suggestions_for(
    run: Run, quality: Quality, findings: Sequence[Finding], scores: Sequence[EvalEnd]
) -> list[str]:
    """The most telling first.

    Args:
        run: as it was at the end, with what it did otherwise.
        findings: with what was done about them as their remedies.
        scores: of the run as it stands, in order.
    """
    findings = [each for each in findings if each.level != "note"]
    serious_first = sorted(findings, key=lambda each: each.level != "serious")
    left = [each for each in serious_first if each.remedy is None]
    found = [each.actions[0] for each in left]
    if not any(each.level == "serious" for each in left):
        found = [
            *(_beside(run, each, each.remedy) for each in serious_first if each.remedy),
            *found,
        ]
    if not {each.rule for each in findings} - _HARMLESS:
        found += _for_weak(run, quality, best_step(scores) if scores else 0)
    # Where there is nothing to mend, it has room to learn.
    return list(dict.fromkeys(found))[:_MOST] or [more_steps(run), larger_model(run)]


def _beside(run: Run, finding: Finding, done: Overrides) -> str:
    """What to do about a finding from the start next time, or beside what the run has done."""
    if done.learning_rate == 1:
        return finding.actions[1]
    if run.far_above_usual:
        return run.slower()
    return f"begin with what held in the end: {run.again(learning_rate=run.learning_rate)}"


def _for_weak(run: Run, quality: Quality, best: int) -> Iterator[str]:
    """For the weak reasons, by their place in `Quality.reasons`, the worst first."""
    weak = [place for place, each in enumerate(quality.reasons) if each.weak]
    for place in sorted(weak, key=lambda n: -quality.reasons[n].lost):
        if place == 0 and (run.far_above_usual or quality.spoilt):
            yield run.slower()
        elif place == 0 and run.far_below_usual:
            yield run.faster()
        elif place == 0 and not {1, 2} & set(weak):
            # Of a model that was better before, or knows its own text best, more makes no better.
            yield more_steps(run)
        elif place == 1:
            told = best >= LEAST_STEPS
            yield f"end where it was best: {run.again(max_steps=best)}" if told else run.slower()
        elif place == 2:
            yield MORE_TEXT
            yield more_dropout(run)
