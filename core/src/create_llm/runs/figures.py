"""What was measured of finished models, a line each time, in the logs of their project."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Literal

from create_llm.project.folder import Project

Measured = Literal["evaluations", "comparisons"]
"""Which file of logs/: NAME.jsonl. Each line says at least `time` (UTC) and of which models."""


def remember(project: Project, measured: Measured, figures: Mapping[str, object]) -> None:
    """Append a line.

    Args:
        figures: with the `time` that stands elsewhere too; without, it is now.
    """
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = json.dumps({"time": now, **figures}, ensure_ascii=False)
    project.logs.mkdir(exist_ok=True)
    path = project.logs / f"{measured}.jsonl"
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{line}\n")
