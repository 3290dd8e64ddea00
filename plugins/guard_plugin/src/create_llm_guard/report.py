"""logs/<run>/guard.json: what was found, and how good the model is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from create_llm_guard.findings import Finding
from create_llm_guard.score import Quality

SCHEMA = 1
NAME = "guard.json"

_FINDINGS = TypeAdapter(tuple[Finding, ...])


def earlier_findings(folder: Path) -> list[Finding]:
    """Of the sessions before this one; none where the file is not there or not readable."""
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
        return list(_FINDINGS.validate_python(json.loads(text)["findings"]))
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return []


def write_report(
    folder: Path,
    findings: Sequence[Finding],
    quality: Quality | None,
    suggestions: Sequence[str],
    **facts: object,
) -> None:
    """
    Args:
        quality: None while the run goes on.
        facts: about the run, by their names in the file.
    """
    report: dict[str, Any] = {
        "schema": SCHEMA,
        **facts,
        "score": quality.score if quality else None,
        "reasons": [dataclasses.asdict(reason) for reason in quality.reasons] if quality else [],
        "suggestions": list(suggestions),
        "findings": [dataclasses.asdict(finding) for finding in findings],
    }
    text = json.dumps(report, indent=2, ensure_ascii=False)
    # Not through `Storage`: nothing is decided by it, and where a kill left the temporary file of a
    # run that is complete, nobody would come to remove it.
    (folder / NAME).write_text(text, encoding="utf-8")


def suggestions_for(quality: Quality, findings: Sequence[Finding]) -> list[str]:
    """The most telling things to do next time, three at most: first what was found."""
    serious_first = sorted(findings, key=lambda each: each.level != "serious")
    found = list(dict.fromkeys(each.actions[0] for each in serious_first))
    weakest = sorted(quality.reasons, key=lambda each: each.points - each.of)
    general = [_FOR_WEAK[n] for n in _weak(quality, weakest)]
    return [*found, *general][:3] or ["train it longer, or a larger one: it has room to learn"]


_FOR_WEAK = (
    "it has learnt little yet: more steps (--max-steps), or a larger model",
    "end where it was best: save and score more often (training.eval_interval)",
    "more text, or more dropout (--set model.dropout=0.1): it knows its own text too well",
)
"""By the place of the reason in `Quality.reasons`."""


def _weak(quality: Quality, weakest: Sequence[Any]) -> list[int]:
    """Reasons that lost a third of their points or more, the worst first."""
    places = [quality.reasons.index(each) for each in weakest if 3 * each.points < 2 * each.of]
    return [place for place in places if place < len(_FOR_WEAK)]
