"""The callback `dashboard`: starts the page in a process of its own when a run starts.

The process reads the run's files as any other would, so nothing that happens to it or to the pages
that are open reaches the training. It ends by itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from create_llm.errors import PluginError
from create_llm.runs.events import ProgressMade, StepEnd, TrainEnd, TrainStart
from create_llm.training.callbacks import Callback
from create_llm_dashboard.config import DashboardConfig

_PAGES: dict[str, Child] = {}
"""By the folder of a run: one that goes back and trains on, with callbacks anew, keeps its page."""


class Dashboard(Callback):
    """Starts the page and tells its link on stderr. Where it cannot start, the run goes on."""

    def __init__(self, config: DashboardConfig) -> None:
        self._config = config
        self._child: Child | None = None

    def on_train_start(self, event: TrainStart) -> None:
        asked = {
            "run": event.folder,
            "port": self._config.port,
            "open_browser": self._config.open_browser,
        }
        page = _PAGES.get(event.folder)
        if page is None or (page.told and not page.is_alive()):
            page = _PAGES[event.folder] = Child(Path(event.folder), asked)
        self._child = page

    def on_progress(self, event: ProgressMade) -> None:
        self._look()

    def on_step_end(self, event: StepEnd) -> None:
        self._look()

    def on_train_end(self, event: TrainEnd) -> None:
        self._look()

    def _look(self) -> None:
        """Tell the link when it is there.

        Raises:
            PluginError: the process could not start; the run tells it as a warning.
        """
        page = self._child
        if page is not None and not page.told and (answer := page.answer()) is not None:
            page.told = True
            if "link" not in answer:
                raise PluginError(f"the dashboard could not start: {answer['failed']}")
            print(f"dashboard: {answer['link']}{answer['note']}", file=sys.stderr, flush=True)


class Child:
    """The process of the page; what it is asked and answers goes through pipes, since it is secret.

    Args:
        folder: of the run; the process's own troubles are told in dashboard.log there.

    Attributes:
        told: whether its answer has been passed on.
    """

    def __init__(self, folder: Path, asked: dict[str, object]) -> None:
        # -P: the folder one works in is no place to import from.
        command = [sys.executable, "-P", "-m", "create_llm_dashboard"]
        with (folder / "dashboard.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C in the training's terminal is not for the page, which shows its end.
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        self._answer: dict[str, str] | None = None
        self.told = False
        self._reader = threading.Thread(target=self._read, args=(json.dumps(asked),), daemon=True)
        self._reader.start()
        # Somebody has to, or it stays in the system's table, dead, for as long as the training.
        threading.Thread(target=self._process.wait, daemon=True).start()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def answer(self) -> dict[str, str] | None:
        """What it said: a `link` and a `note`, or why it `failed`; None as long as it has not."""
        return self._answer

    def _read(self, asked: str) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(asked.encode())
            process.stdin.close()
            self._answer = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            self._answer = {"failed": "its process ended at once; dashboard.log says why"}
        finally:
            process.stdout.close()
