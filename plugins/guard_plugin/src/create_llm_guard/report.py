"""logs/<run>/guard.json: what was found, and how good the model is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from create_llm.training.remedies import Remedy
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


def with_what_was_done(findings: Sequence[Finding], remedies: Sequence[Remedy]) -> list[Finding]:
    """Findings with what the run did about them in place of what it might; None for nothing."""
    left, told = list(remedies), []
    for finding in findings:
        done = next((each for each in left if each.reason == finding.reason), None)
        if done is not None:
            left.remove(done)
        told.append(replace(finding, remedy=done.overrides if done else None))
    return told


def write_report(
    folder: Path,
    findings: Sequence[Finding],
    quality: Quality | None,
    suggestions: Sequence[str],
    **facts: object,
) -> None:
    """
    Args:
        findings: with what was done about them as their remedies.
        quality: None while the run goes on.
        facts: about the run, by their names in the file.
    """
    report: dict[str, Any] = {
        "schema": SCHEMA,
        **facts,
        "score": quality.score if quality else None,
        "word": quality.word if quality else None,
        "reasons": [asdict(reason) for reason in quality.reasons] if quality else [],
        "suggestions": list(suggestions),
        "findings": [asdict(finding) for finding in findings],
    }
    text = json.dumps(report, indent=2, ensure_ascii=False)
    # Not through `Storage`: nothing is decided by it, and where a kill left the temporary file of a
    # run that is complete, nobody would come to remove it.
    (folder / NAME).write_text(text, encoding="utf-8")
