"""The callback `guard`: rules over the events of a run, and what follows from their findings."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

from create_llm.runs.events import (
    CheckpointSaved,
    Diverged,
    EvalEnd,
    Event,
    StepEnd,
    TrainEnd,
    TrainStart,
)
from create_llm.training.callbacks import Answer, Callback, Overrides, Retry, Signal, Warn
from create_llm_guard.config import GuardConfig, Policy
from create_llm_guard.findings import Finding
from create_llm_guard.replay import measured
from create_llm_guard.report import earlier_findings, suggestions_for, write_report
from create_llm_guard.rules import rules_of
from create_llm_guard.rules.base import Rule, Run
from create_llm_guard.rules.loss import SLOWER, slower
from create_llm_guard.score import Quality, quality

FROM_THE_START = 0.1
"""By what the learning rate is multiplied where not even the first checkpoint was stable."""


class Guard(Callback):
    """Tells what goes wrong, stops or goes back where the policy says so, and judges the result.

    Args:
        config: the callback's section of llm.toml.
        attended: whether somebody sits at a terminal.
    """

    def __init__(self, config: GuardConfig, attended: Callable[[], bool] | None = None) -> None:
        self._config = config
        self._policy: Policy = config.on_anomaly or (
            "pause" if (attended or _at_terminal)() else "auto"
        )
        self._run: Run | None = None
        self._folder, self._name = Path(), ""
        self._rules: list[Rule] = []
        self._findings: list[Finding] = []
        self._scores: list[EvalEnd] = []
        self._saved: list[int] = []
        self._remedies = 0

    def on_train_start(self, event: TrainStart) -> list[Answer]:
        self._run, self._folder, self._name = Run.of(event), Path(event.folder), event.run
        self._rules, self._remedies = rules_of(self._run), event.remedies
        if event.resumed_from is None:
            return self._answers([rule.begin() for rule in self._rules])
        self._findings = earlier_findings(self._folder)
        events = measured(self._folder / "events.jsonl", event.resumed_from)
        found = [finding for earlier in events for finding in self._hear(earlier)]
        return self._not_done(found) if self._policy == "auto" else []

    def _not_done(self, found: list[Finding | None]) -> list[Answer]:
        """What was to be gone back for, had the run not been killed: it stands in the events still,
        as what a run goes back behind does not."""
        left = [each for each in found if each is not None and each.began is not None]
        return self._measures(left)

    def on_step_end(self, event: StepEnd) -> list[Answer]:
        return self._answers(self._hear(event))

    def on_eval_end(self, event: EvalEnd) -> list[Answer]:
        return self._answers(self._hear(event))

    def on_checkpoint(self, event: CheckpointSaved) -> None:
        self._hear(event)

    def on_diverged(self, event: Diverged) -> list[Answer]:
        return self._answers([self._not_a_number(event.step, event.message)])

    def on_train_end(self, event: TrainEnd) -> Answer | None:
        if self._run is None or event.status == "rewound":
            return None
        told = quality(self._run, self._scores, self._findings, spoilt=self._spoilt(event))
        todo = suggestions_for(told, self._findings)
        self._write(told, todo, status=event.status)
        judged = event.status in ("completed", "diverged") and told.score is not None
        return _verdict(told, todo) if judged else None

    def _spoilt(self, event: TrainEnd) -> str | None:
        """What the model is of no use for, if anything."""
        if event.status == "diverged":
            return event.error
        return next((rule.lasting.seen for rule in self._rules if rule.lasting), None)

    def _hear(self, event: Event) -> list[Finding | None]:
        """What the rules find in it."""
        if isinstance(event, CheckpointSaved):
            self._saved.append(event.step)
        elif isinstance(event, StepEnd):
            return [rule.step(event) for rule in self._rules]
        elif isinstance(event, EvalEnd):
            self._scores.append(event)
            if not math.isfinite(event.val_loss):
                return [self._not_a_number(event.step, "the validation loss is no number")]
            return [rule.scored(event) for rule in self._rules]
        return []

    def _not_a_number(self, step: int, message: str) -> Finding:
        rate = self._run.learning_rate if self._run else 0.0
        clip = None if self._run and self._run.clip > 0 else 1.0
        return Finding(
            "not_a_number",
            step,
            message,
            "Numbers grew beyond what the machine can hold; nothing of that was saved",
            (
                slower(rate),
                "a longer warm-up: --set training.warmup_steps=…",
                "look for odd lines in the text: llm data check",
            ),
            "serious",
            began=max(self._saved, default=0),
            remedy=Overrides(learning_rate=SLOWER, gradient_clip=clip),
        )

    def _answers(self, found: list[Finding | None]) -> list[Answer]:
        findings = [finding for finding in found if finding is not None]
        if not findings:
            return []
        self._findings += findings
        answers: list[Answer] = [
            Warn(each.message, each.suggestion, each.level) for each in findings
        ]
        answers += self._measures(findings)
        self._write(None, [])
        return answers

    def _measures(self, findings: list[Finding]) -> list[Answer]:
        """What the policy does about them."""
        serious = [each for each in findings if each.level == "serious"]
        if self._policy == "auto":
            curable = [each for each in [*serious, *findings] if each.remedy is not None]
            if curable and self._remedies < self._config.max_remedies:
                return [self._retry(curable[0])]
        return [Signal.PAUSE] if serious and self._policy == "pause" else []

    def _retry(self, finding: Finding) -> Retry:
        """Go back to the last checkpoint before the trouble; on from here, where there is none."""
        assert finding.remedy is not None
        reason = f"{finding.rule.replace('_', ' ')}: {finding.seen}"
        if finding.began is None:
            return Retry(reason, None, finding.remedy)
        step = max((step for step in self._saved if step <= finding.began), default=0)
        overrides = finding.remedy
        if step == 0 and overrides.learning_rate != 1:
            overrides = Overrides(FROM_THE_START, overrides.gradient_clip)
        return Retry(reason, step, overrides)

    def _write(self, told: Quality | None, todo: list[str], status: str = "running") -> None:
        write_report(
            self._folder,
            self._findings,
            told,
            todo,
            run=self._name,
            status=status,
            policy=self._policy,
            remedies=self._remedies,
        )


def _verdict(told: Quality, todo: list[str]) -> Warn:
    why = "; ".join(f"{each.why} ({each.points} of {each.of})" for each in told.reasons)
    return Warn(f"quality {told.score} of 100: {why}", "; ".join(todo), "note")


def _at_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
