"""The callback `dashboard`: its process, what becomes of it, and a training that does not care."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from create_llm.runs.events import ProgressMade, TrainEnd
from create_llm.testing.events import step_end, train_start
from create_llm.training.dispatch import Dispatcher, Dropped
from create_llm_dashboard import __main__ as program
from create_llm_dashboard import callback as module
from create_llm_dashboard.callback import Child, Dashboard
from create_llm_dashboard.config import DashboardConfig
from create_llm_dashboard.server import listen

from .conftest import Story

CONFIG = DashboardConfig(port=0, open_browser=False)
MOVED = ProgressMade(step=1, doing="train", done=1, total=2, eta_seconds=1.0)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Child]:
    """The processes that are started; they end with the test."""
    children: list[Child] = []

    class Kept(Child):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            children.append(self)

    monkeypatch.setattr(module, "Child", Kept)
    yield children
    for child in children:
        child._process.kill()
        child._process.wait(20)


def play(dispatcher: Dispatcher, child: Child) -> None:
    """Progress until the process has answered."""
    child._reader.join(60)
    assert dispatcher.emit(MOVED) == set()


def test_a_run_tells_the_link_and_its_process_outlives_ctrl_c(
    story: Story, tmp_path: Path, started: list[Child], capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "llm.toml").write_text("")
    dropped: list[Dropped] = []
    dispatcher = Dispatcher([("dashboard", Dashboard(CONFIG))], dropped.append)
    with story.live():
        dispatcher.emit(train_start(story.folder.path))
        assert started[0].answer() is None, "the training waits for it"
        play(dispatcher, started[0])
        told = capsys.readouterr()
        assert told.err.startswith("dashboard: http://127.0.0.1:")
        assert told.out == ""
        process = psutil.Process(started[0]._process.pid)
        if os.name != "nt":
            assert os.getsid(process.pid) != os.getsid(0)  # a terminal's Ctrl-C is not for it
        assert process.is_running()
    assert dropped == []


def test_a_run_that_goes_back_and_trains_on_keeps_its_page(
    story: Story, tmp_path: Path, started: list[Child], capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "llm.toml").write_text("")
    first, again = Dashboard(CONFIG), Dashboard(CONFIG)
    first.on_train_start(train_start(story.folder.path))
    assert started[0].answer() is None, "it went back before the page had started"
    again.on_train_start(train_start(story.folder.path))
    started[0]._reader.join(60)
    again.on_step_end(step_end(1))
    assert "dashboard: http://" in capsys.readouterr().err
    Dashboard(CONFIG).on_train_start(train_start(story.folder.path))
    first.on_step_end(step_end(2))
    assert capsys.readouterr().err == ""
    assert len(started) == 1


@pytest.mark.parametrize("where", ["no project", "no interpreter"])
def test_what_cannot_start_is_a_warning_and_the_run_goes_on(
    story: Story, where: str, started: list[Child], monkeypatch: pytest.MonkeyPatch
):
    if where == "no interpreter":
        monkeypatch.setattr("sys.executable", "/no/such/python")
    dropped: list[Dropped] = []
    dispatcher = Dispatcher([("dashboard", Dashboard(CONFIG))], dropped.append)
    dispatcher.emit(train_start(story.folder.path))
    for child in started:
        play(dispatcher, child)
    assert [one.name for one in dropped] == ["dashboard"]
    assert "could not start" in dropped[0].error or where == "no interpreter"
    end: Any = {"seconds": 1.0, "train_loss": None, "val_loss": None, "val_bits_per_byte": None}
    ended = TrainEnd(step=1, status="completed", stopped_by="max_steps", **end)
    assert dispatcher.emit(ended) == set()


def test_a_port_that_was_taken_is_told_and_the_process_gives_way(
    story: Story, tmp_path: Path, started: list[Child], capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "llm.toml").write_text("")
    with listen("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        config = DashboardConfig(port=port, open_browser=False)
        dispatcher = Dispatcher([("dashboard", Dashboard(config))], lambda dropped: None)
        dispatcher.emit(train_start(story.folder.path))
        play(dispatcher, started[0])
    assert f"(port {port} is taken, so the page is at " in capsys.readouterr().err
    own, page = psutil.Process().nice(), psutil.Process(started[0]._process.pid).nice()
    assert page == psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else page > own


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_process_that_has_ended_is_gone_while_training_goes_on(
    story: Story, tmp_path: Path, started: list[Child]
):
    (tmp_path / "llm.toml").write_text("")
    Dashboard(CONFIG).on_train_start(train_start(story.folder.path))
    (child,) = started
    child._reader.join(60)
    os.kill(child._process.pid, signal.SIGTERM)
    for _ in range(600):
        if not psutil.pid_exists(child._process.pid):  # one that nobody waited for exists
            break
        time.sleep(0.05)
    else:
        raise AssertionError("it is left to whoever waits for it")
    assert not child.is_alive()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_process_that_is_killed_is_nothing_to_the_run(
    story: Story, tmp_path: Path, started: list[Child]
):
    (tmp_path / "llm.toml").write_text("")
    dropped: list[Dropped] = []
    dispatcher = Dispatcher([("dashboard", Dashboard(CONFIG))], dropped.append)
    dispatcher.emit(train_start(story.folder.path))
    play(dispatcher, started[0])
    started[0]._process.send_signal(signal.SIGKILL)
    started[0]._process.wait(20)
    assert dispatcher.emit(MOVED) == set()
    assert dropped == []


def test_it_ends_when_the_run_is_over_and_nobody_looks(
    story: Story, monkeypatch: pytest.MonkeyPatch
):
    now = [0.0]
    monkeypatch.setattr(program.time, "monotonic", lambda: now[0])

    class Serving:
        class service:
            streams = 0

    over = program._Over(Serving, story.folder.path)  # type: ignore[arg-type]

    def after(seconds: float) -> bool:
        now[0] += seconds
        return over()

    with story.live():
        assert not after(1000)
    assert not after(59)
    assert after(2)
    Serving.service.streams = 1
    assert not after(1000)
    Serving.service.streams = 0
    assert not after(59)
    assert after(2)


def test_the_answer_is_one_line_of_json(capsys: pytest.CaptureFixture[str], monkeypatch: Any):
    import io
    import sys

    out = io.StringIO()
    monkeypatch.setattr(out, "close", lambda: None)
    monkeypatch.setattr(sys, "stdout", out)
    program._answer({"link": "http://x"})
    print("later")
    assert json.loads(out.getvalue()) == {"link": "http://x"}
