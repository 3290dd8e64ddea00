"""The process of the page of one run, as `llm train --dashboard` starts it.

On stdin comes one JSON object: `run` (its folder), `port`, `open_browser`. On stdout goes one:
`link` with a `note` on it, or why it `failed`. It ends when the run is over and no page has been
open for a minute.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from create_llm.errors import CreateLLMError
from create_llm.kernel.plugins import load_plugins
from create_llm.project.folder import find_project
from create_llm.runs.lock import is_held
from create_llm.runs.run import runs_of
from create_llm_dashboard.browser import open_link
from create_llm_dashboard.server import listen, told_if_taken
from create_llm_dashboard.serving import Serving

_UNWATCHED_SECONDS = 60.0
_NICENESS = 5


def main() -> None:
    asked = json.load(sys.stdin)
    _give_way()
    try:
        serving = _serving(asked)
    except CreateLLMError as error:
        _answer({"failed": error.what})
        sys.exit(error.exit_code)
    taken = told_if_taken(serving.listener, asked["port"])
    _answer({"link": serving.link, "note": f" ({taken})" if taken else ""})
    if asked["open_browser"]:
        open_link(serving.link)
    serving.run(_Over(serving, Path(asked["run"])))


def _give_way() -> None:
    """Where there are fewer cores than work, training goes first."""
    psutil.Process().nice(getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", _NICENESS))  # Windows'


def _serving(asked: dict[str, Any]) -> Serving:
    run = Path(asked["run"])
    project = find_project(run)
    return Serving(
        registry=load_plugins().registry,
        project=project.root.name,
        folders=lambda: runs_of(run.parent, project.checkpoints),
        listener=listen("127.0.0.1", asked["port"]),
        meant=run.name,
    )


class _Over:
    """Whether the run is over and nobody has looked at it for a while."""

    def __init__(self, serving: Serving, run: Path) -> None:
        self._serving, self._run = serving, run
        self._since = time.monotonic()

    def __call__(self) -> bool:
        if self._serving.service.streams or is_held(self._run):
            self._since = time.monotonic()
        return time.monotonic() - self._since > _UNWATCHED_SECONDS


def _answer(told: dict[str, str]) -> None:
    """Say it, and no more: whoever listens does not stay."""
    print(json.dumps(told), flush=True)
    sys.stdout.close()
    sys.stdout = sys.stderr


if __name__ == "__main__":
    main()
