"""What the server tells of runs: panels, news, state, ports, and what costs nothing."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from benchmarks import dashboard

from create_llm.errors import ConfigError
from create_llm.kernel.registry import Part, Registry
from create_llm_dashboard.panel import Panel, View
from create_llm_dashboard.server import listen, panels_of

from .conftest import RUN, Served, Story

Serve = Callable[..., Served]


def collect(news: Iterator[dict[str, Any]], panels: set[str]) -> dict[str, Any]:
    """The first data of each of these panels."""
    found: dict[str, Any] = {}
    for event in news:
        found.setdefault(event["panel"], event["data"])
        if panels <= found.keys():
            return found
    raise AssertionError(f"no news of {panels - found.keys()}")


def test_news_come_as_they_happen_and_only_then(story: Story, serve: Serve):
    story.start()
    story.step(1, 5.0)
    served = serve()
    with story.live(), served.news(f"/runs/{RUN}/stream") as news:
        found = collect(news, {"", *served.serving.service.panels})
        assert found[""]["status"] == "running"
        assert found["curves"]["runs"][0]["train"] == {"x": [1], "y": [5.0]}
        story.tell("sample", 1, prompt="Once", text=" more")
        story.step(2, 4.0)
        later = collect(news, {"curves", "samples"})
        assert later["curves"]["runs"][0]["train"]["y"] == [5.0, 4.0]
        assert later["samples"]["samples"][0]["text"] == " more"
        assert not later.keys() & {"configuration", "warnings", "checkpoints"}


@pytest.mark.parametrize(
    ("status", "title"),
    [
        ("completed", "Training is complete"),
        ("paused", "Paused"),
        ("interrupted", "Interrupted"),
        ("failed", "The run failed"),
        ("diverged", "It went wrong"),
        (None, "The run was killed"),
    ],
)
def test_each_end_is_told_with_what_to_do(
    story: Story, serve: Serve, status: str | None, title: str
):
    story.start()
    story.step(7)
    if status:
        model = "/x/models/v3" if status == "completed" else None
        story.end(7, status, model=model, error="it broke" if status == "failed" else None)
    with serve().news(f"/runs/{RUN}/stream") as news:
        said = collect(news, {""})[""]["said"]
    assert said["title"] == title
    if status == "completed":
        text = " ".join(said["text"])
        assert "models/v3" in text
        assert "/x/" not in text
        assert "llm chat" in said["next"]
    elif status not in ("diverged", "failed"):
        assert said["next"] == ["llm train --max-steps 100"]


def test_requests_are_those_of_the_command_line(story: Story, serve: Serve):
    from create_llm.runs.control import Control, Request

    served, control = serve(), Control(story.folder.path)
    with story.live():
        for request in Request:
            answer = served.ask(f"/runs/{RUN}/control", "POST", {"request": request.value})
            assert answer.json == {"asked": request.value}
        assert control.pending() == set(Request)


def test_the_configuration_comes_with_its_sources_and_the_command(story: Story, serve: Serve):
    found = serve().ask(f"/runs/{RUN}/panels/configuration").json
    assert found["command"] == "llm train --max-steps 100"
    assert {"key": "training.seed", "value": "1", "source": "llm.toml:3"} in found["settings"]


def test_runs_lie_over_one_another(story: Story, tmp_path: Path, serve: Serve):
    other = Story(tmp_path, "20260102-120000")
    for each, loss in ((story, 1.0), (other, 2.0)):
        each.start()
        each.step(1, loss)
    served = serve(meant=RUN, others=(RUN, "20260102-120000"))
    page = served.ask("/").headers["location"]
    assert page == f"/runs/{RUN}?with=20260102-120000"
    runs = served.ask(f"/runs/{RUN}/panels/curves?with=20260102-120000").json["runs"]
    assert [(run["name"], run["train"]["y"]) for run in runs] == [
        (RUN, [1.0]),
        ("20260102-120000", [2.0]),
    ]


def test_the_live_run_is_meant_and_else_the_newest(story: Story, tmp_path: Path, serve: Serve):
    Story(tmp_path, "20260102-120000")
    served = serve()
    assert served.ask("/").headers["location"] == "/runs/20260102-120000"
    with story.live():
        assert served.ask("/").headers["location"] == f"/runs/{RUN}"


def test_the_machine_is_looked_at_with_the_process_that_trains(story: Story, serve: Serve):
    served = serve()
    with story.live():
        reading = served.ask(f"/runs/{RUN}/panels/machine").json["readings"][-1]
        assert 0 < reading["memory_bytes"] < reading["memory_total"]
        assert reading["process_bytes"] > 0
    assert served.ask(f"/runs/{RUN}/panels/machine").json["every_seconds"] == 2


def test_reloads_and_readers_that_do_not_read_cost_nothing(story: Story, serve: Serve):
    story.start()
    for step in range(1, 2000):
        story.step(step)
    served, process = serve(), psutil.Process()
    path = f"/runs/{RUN}/stream"

    def visit(times: int) -> None:
        for _ in range(times):
            with served.news(path) as news:
                next(news)
        for _ in range(400):
            if served.serving.service.streams <= 1:
                return
            story.step(3000)  # who has gone is noticed when there is news for them
            time.sleep(0.05)
        raise AssertionError("readers that have gone are still served")

    idle = socket.create_connection(("127.0.0.1", served.port))
    idle.sendall(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {served.cookie}\r\n\r\n".encode()
    )
    visit(5)
    before = process.memory_info().rss, process.num_fds() if os.name != "nt" else 0
    visit(40)
    after = process.memory_info().rss, process.num_fds() if os.name != "nt" else 0
    idle.close()
    assert after[0] - before[0] < 20e6
    assert after[1] <= before[1] + 2


def _computed(view: View) -> dict[str, object]:
    COMPUTED.append(view.run.name)
    return {"times": len(COMPUTED)}


COMPUTED: list[str] = []


def test_pages_of_a_run_share_what_was_looked_up(story: Story, serve: Serve):
    story.start()
    served = serve()
    served.serving.service.panels = {"own": Panel("Own", 5, _computed, Path(__file__))}
    path = f"/runs/{RUN}/stream"
    COMPUTED.clear()
    with ExitStack() as stack:
        streams = [stack.enter_context(served.news(path)) for _ in range(12)]
        for news in streams:
            collect(news, {"own"})
        time.sleep(1)
        assert len(served.serving.service.looks) == 1
        threads = [thread.name for thread in threading.enumerate() if "AnyIO" in thread.name]
    assert len(COMPUTED) <= 12  # twelve pages apart: more than thirty
    assert len(threads) <= 8


@pytest.mark.slow
def test_pages_of_a_long_run_come_and_go_in_the_same_memory(tmp_path: Path):
    """A million steps are 36 MB as numbers; the benchmark's own server, in its own process."""
    project = tmp_path / "project"
    events = dashboard.write_run(project, 1_000_000)
    index = events.with_name("events.index.npz")
    with dashboard.dashboard(project) as (process, link):
        figures: Any = dashboard.pages(process, link, 100, index)
    read, first, *later = figures["rss_bytes"]
    assert read < 300e6
    assert max(later) - first < 20e6
    assert max(figures["threads"]) <= 8
    assert figures["files"][-1] <= figures["files"][1] + 2


def test_the_next_free_port_is_taken():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with listen("127.0.0.1", port) as second:
            assert port < second.getsockname()[1] <= port + 50


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.1", "x" * 300])
def test_an_address_of_another_machine_is_an_error(host: str):
    with pytest.raises(ConfigError, match="no address of this machine"):
        listen(host, 0)


def _failing(view: View) -> dict[str, object]:
    raise RuntimeError("it is mine")


FAILING = Panel("Failing", 5, _failing, Path(__file__))
NO_PANEL = object()


def test_another_s_panel_stands_by_its_order_and_its_failures_are_its_own(
    story: Story, serve: Serve
):
    registry, notices = Registry([_KIND]), []
    for name, target in (("own", "FAILING"), ("odd", "NO_PANEL"), ("gone", "NOT_THERE")):
        part = Part("panels", name, f"{__name__}:{target}", "A panel.", None, (), "p", "d")
        registry.add(part)
    assert list(panels_of(registry, notices.append)) == ["own"]
    assert len(notices) == 2
    served = serve()
    served.serving.service.panels = {"own": FAILING, **served.serving.service.panels}
    with served.news(f"/runs/{RUN}/stream") as news:
        found = collect(news, {"own", "curves"})
    assert found["own"] == {"failed": "RuntimeError: it is mine"}
    assert "failed" not in found["curves"]


def _kind() -> Any:
    from create_llm_dashboard.plugin import KINDS

    return KINDS[0]


_KIND = _kind()
