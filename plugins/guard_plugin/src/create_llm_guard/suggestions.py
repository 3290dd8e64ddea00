"""What to do next time: a few things that do not contradict what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from create_llm.training.callbacks import Overrides
from create_llm_guard.findings import Finding
from create_llm_guard.rules.base import Run
from create_llm_guard.score import Quality

_MOST = 3
_HARMLESS = {"spikes", "throughput", "memory"}
"""Findings that do not say what the model lacks: general advice holds beside them."""

_LONGER = "train it longer, or a larger one: it has room to learn"
_FOR_WEAK = (
    "it has learnt little yet: more steps (--max-steps), or a larger model",
    "end where it was best: save and score more often (--set training.eval_interval=…)",
    "more text, or more dropout (--set model.dropout=0.1): it learns its text by heart",
)
"""By the place of the reason in `Quality.reasons`."""


def suggestions_for(run: Run, quality: Quality, findings: Sequence[Finding]) -> list[str]:
    """The most telling first.

    Args:
        run: as it was at the end, with what it did otherwise.
        findings: with what was done about them as their remedies.
    """
    serious_first = sorted(findings, key=lambda each: each.level != "serious")
    left = [each for each in serious_first if each.remedy is None]
    found = [each.actions[0] for each in left]
    if not any(each.level == "serious" for each in left):
        found = [
            *(_beside(run, each, each.remedy) for each in serious_first if each.remedy),
            *found,
        ]
    of_the_score = () if {each.rule for each in findings} - _HARMLESS else _for_weak(run, quality)
    return list(dict.fromkeys([*found, *of_the_score]))[:_MOST] or [_LONGER]


def _beside(run: Run, finding: Finding, done: Overrides) -> str:
    """What to do about a finding from the start next time, or beside what the run has done."""
    if done.learning_rate == 1:
        return finding.actions[1]
    if run.far_above_usual:
        return run.slower()
    return f"begin with what held in the end: {run.again(learning_rate=run.learning_rate)}"


def _for_weak(run: Run, quality: Quality) -> Iterator[str]:
    """For reasons that lost a third of their points or more, the worst first."""
    weak = [n for n, each in enumerate(quality.reasons) if 3 * each.points < 2 * each.of]
    lost = {n: quality.reasons[n].of - quality.reasons[n].points for n in weak}
    for place in sorted(weak, key=lambda n: -lost[n]):
        if place == 0 and run.far_above_usual:
            yield run.slower()
        elif place == 0 and run.far_below_usual:
            yield run.faster()
        elif place < len(_FOR_WEAK):
            yield _FOR_WEAK[place]
