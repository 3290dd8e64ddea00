"""The contract of panels, for their authors to subclass.

from create_llm_dashboard.testing import PanelContract

class TestLion(PanelContract):
    name = "lion"
"""

from __future__ import annotations

import json
from pathlib import Path

from create_llm.runs.run import RunFolder
from create_llm.testing.base import PartContract
from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.reading import ReadRun, Runs
from create_llm_dashboard.system import System

_START = {
    "schema": 1,
    "event": "train_start",
    "time": "2026-01-01T00:00:00.000Z",
    "step": 0,
    "session": 1,
}
_BAD = "<script>alert(1)</script>\u0000\ud800"


class PanelContract(PartContract):
    """Parts of the dashboard's page."""

    kind = "panels"

    def panel(self) -> Panel:
        found: Panel = self.part().load()
        return found

    def test_is_a_panel_with_a_title(self) -> None:
        """A `Panel`, which says what it is headed by."""
        assert isinstance(self.panel(), Panel)
        assert self.panel().title.strip()

    def test_has_its_script(self) -> None:
        """The file of the script is there and exports `mount`."""
        assert "export function mount(" in self.panel().script.read_text("utf-8")

    def test_has_data_before_anything_happened(self, tmp_path: Path) -> None:
        """A run that has only begun, or of which nothing can be read, has data for the page."""
        assert _told(self.panel(), tmp_path, [])
        assert _told(self.panel(), tmp_path, [_START])

    def test_survives_what_may_stand_in_events(self, tmp_path: Path) -> None:
        """Missing figures, numbers that are none, texts with anything in them."""
        envelope = {"time": _START["time"], "session": 1}
        odd = [
            {**envelope, "event": name, "step": step, "message": _BAD, "text": _BAD, "loss": None}
            for step, name in enumerate(
                ("step", "eval", "sample", "checkpoint", "warning", "train_end", "unheard"), 1
            )
        ]
        assert _told(self.panel(), tmp_path, [_START, *odd])

    def test_same_run_same_data(self, tmp_path: Path) -> None:
        """What has not changed is not sent: data without a change in the files is the same."""
        _write(tmp_path, [_START])
        view = _view(tmp_path)
        assert _json(self.panel().data(view)) == _json(self.panel().data(view))


def _told(panel: Panel, root: Path, events: list[dict[str, object]]) -> str:
    _write(root, events)
    return _json(panel.data(_view(root)))


def _json(data: Json) -> str:
    return json.dumps(data, allow_nan=False)


def _write(root: Path, events: list[dict[str, object]]) -> None:
    run = _folder(root)
    run.path.mkdir(parents=True, exist_ok=True)
    (run.path / "run.json").write_text("{}", "utf-8")
    run.events.write_text("".join(f"{json.dumps(event)}\n" for event in events), "utf-8")


def _view(root: Path) -> View:
    run = ReadRun(_folder(root))
    run.history.refresh()
    return View(run, (), Runs(lambda: [run.folder]), System(), {}, run.status())


def _folder(root: Path) -> RunFolder:
    return RunFolder(root / "logs" / "r1", root / "checkpoints" / "r1")
