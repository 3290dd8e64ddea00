"""The contracts of what this package brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from create_llm.testing import CallbackContract, CommandContract
from create_llm_dashboard.testing import PanelContract


class TestDashboardCommand(CommandContract):
    name = "dashboard"


class TestDashboardCallback(CallbackContract):
    """Without the process, which test_callback.py starts."""

    name = "dashboard"

    @pytest.fixture(autouse=True)
    def _no_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("create_llm_dashboard.callback.Child", _NoChild)


class _NoChild:
    told = False

    def __init__(self, folder: Path, asked: dict[str, object]) -> None:
        pass

    def is_alive(self) -> bool:
        return True

    def answer(self) -> None:
        return None


class TestProgress(PanelContract):
    name = "progress"


class TestCurves(PanelContract):
    name = "curves"


class TestSamples(PanelContract):
    name = "samples"


class TestWarnings(PanelContract):
    name = "warnings"


class TestSpeed(PanelContract):
    name = "speed"


class TestMachine(PanelContract):
    name = "machine"


class TestCheckpoints(PanelContract):
    name = "checkpoints"


class TestConfiguration(PanelContract):
    name = "configuration"
