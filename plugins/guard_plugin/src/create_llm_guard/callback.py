"""The callback `guard`: rules over the events of a run, and what follows from their findings."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from create_llm.runs.events import (
    Diverged,
    EvalEnd,
    Event,
    StepEnd,
    TrainEnd,
    TrainStart,
)
from create_llm.runs.run import RunFolder
from create_llm.training.callbacks import Answer, Callback, Overrides, Pause, Retry, Warn
from create_llm.training.remedies import Remedy, remedies_of
from create_llm_guard.config import GuardConfig, Policy
from create_llm_guard.findings import Finding
from create_llm_guard.replay import measured
from create_llm_guard.report import earlier_findings, with_what_was_done, write_report
from create_llm_guard.rules import rules_of
from create_llm_guard.rules.advice import longer_warmup
from create_llm_guard.rules.base import Rule, Run
from create_llm_guard.score import NOTHING, Quality, quality
from create_llm_guard.suggestions import suggestions_for

FROM_THE_START = 0.1
"""The greatest factor of the learning rate where not even the first checkpoint was stable."""

NOT_A_NUMBER = "not_a_number"


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
        self._remedies = 0
        self._done: tuple[Remedy, ...] = ()

    def on_train_start(self, event: TrainStart) -> list[Answer]:
        self._folder, self._name = Path(event.folder), event.run
        run = RunFolder(self._folder, Path())
        self._run = Run.of(event, tuple(run.manifest().get("command", ())))
        self._done = remedies_of(run)
        self._rules, self._remedies = rules_of(self._run), event.remedies
        if event.resumed_from is None:
            return self._answers([rule.begin() for rule in self._rules])
        events = measured(self._folder / "events.jsonl", event.resumed_from)
        found = [each for earlier in events for each in self._hear(earlier) if each is not None]
        reasons = {remedy.reason for remedy in self._done}
        self._findings = [
            each
            for each in earlier_findings(self._folder)
            # What came after the step that the run goes on from will be found again, where the run
            # did not go back for it.
            if each.step <= event.resumed_from or each.reason in reasons
        ]
        return self._not_done(found) if self._policy == "auto" else []

    def _not_done(self, found: list[Finding]) -> list[Answer]:
        """What was to be gone back for, had the run not been killed: it stands in the events still,
        as what a run goes back behind does not."""
        done = {remedy.reason for remedy in self._done}
        left = [each for each in found if each.began is not None and each.reason not in done]
        return self._measures(left)

    def on_step_end(self, event: StepEnd) -> list[Answer]:
        return self._answers(self._hear(event))

    def on_eval_end(self, event: EvalEnd) -> list[Answer]:
        return self._answers(self._hear(event))

    def on_diverged(self, event: Diverged) -> list[Answer]:
        # A device that is not read at each step tells of it later.
        when = "at" if re.search(rf"\bstep {event.step}\b", event.message) else "by"
        seen = f"the loss, a gradient or a weight became no number (NaN) {when} step {event.step:,}"
        meaning = "Numbers grew beyond what the machine can hold; nothing of that was saved"
        return self._answers([self._not_a_number(event.step, seen, meaning, event.step)])

    def on_train_end(self, event: TrainEnd) -> Answer | None:
        if self._run is None or event.status == "rewound":
            return None
        told = quality(self._run, self._scores, self._findings, spoilt=self._spoilt(event))
        known = with_what_was_done(self._findings, self._done)
        todo = suggestions_for(self._run, told, known, self._scores)
        self._write(told, todo, status=event.status)
        judged = event.status in ("completed", "diverged") and told.score is not None
        return _verdict(told, todo) if judged else None

    def _spoilt(self, event: TrainEnd) -> str | None:
        """What the model is of no use for, if anything."""
        if event.status == "diverged":
            seen = [each.seen for each in self._findings if each.rule == NOT_A_NUMBER]
            return seen[-1] if seen else event.error
        lasting = next((rule.lasting.seen for rule in self._rules if rule.lasting), None)
        return lasting or self._worse_than_guessing()

    def _worse_than_guessing(self) -> str | None:
        guess = self._run.guess if self._run else None
        last = self._scores[-1].val_loss if self._scores else 0.0
        if guess is None or not last > (2 - NOTHING) * guess:
            return None
        return f"its validation loss is {last:.4g}, and blind guessing gives {guess:.2f}"

    def _hear(self, event: Event) -> list[Finding | None]:
        """What the rules find in it."""
        if isinstance(event, StepEnd):
            return [rule.step(event) for rule in self._rules]
        if isinstance(event, EvalEnd):
            self._scores.append(event)
            if not math.isfinite(event.val_loss):
                return [self._score_of_none(event.step)]
            return [rule.scored(event) for rule in self._rules]
        return []

    def _score_of_none(self, step: int) -> Finding:
        # What was saved at this step, before it was scored, gives none either.
        seen = f"the validation loss became no number (NaN) at step {step:,}"
        meaning = (
            "Numbers grew beyond what the machine can hold; a checkpoint of this step is of no use"
        )
        return self._not_a_number(step, seen, meaning, max(step - 1, 0))

    def _not_a_number(self, step: int, seen: str, meaning: str, began: int) -> Finding:
        assert self._run is not None
        return Finding(
            NOT_A_NUMBER,
            step,
            seen,
            meaning,
            (
                self._run.slower(),
                *longer_warmup(self._run),
                "look for odd lines in the text: llm data check",
            ),
            "serious",
            began=began,
            remedy=Overrides(self._run.slowing, None if self._run.clip > 0 else 1.0),
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
                return [_retry(curable[0])]
        if not serious or self._policy != "pause":
            return []
        return [Pause(serious[0].message, serious[0].actions)]

    def _write(self, told: Quality | None, todo: list[str], status: str = "running") -> None:
        write_report(
            self._folder,
            with_what_was_done(self._findings, self._done),
            told,
            todo,
            run=self._name,
            status=status,
            policy=self._policy,
            remedies=self._remedies,
        )


def _retry(finding: Finding) -> Retry:
    """Go back behind the trouble; on from here, where there is no behind."""
    assert finding.remedy is not None
    anew = None
    if finding.remedy.learning_rate != 1:
        slower = min(finding.remedy.learning_rate, FROM_THE_START)
        anew = replace(finding.remedy, learning_rate=slower)
    return Retry(finding.reason, finding.began, finding.remedy, anew)


def _verdict(told: Quality, todo: list[str]) -> Warn:
    """With the first reason, and what weighs most beside it; guard.json has them all."""
    first, *others = told.reasons
    beside = sorted((each for each in others if each.weak), key=lambda each: -each.lost)
    why = "; ".join(each.why for each in (first, *beside[:1]))
    return Warn(f"quality {told.score} of 100, {told.word}: {why}", "; ".join(todo), "note")


def _at_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
