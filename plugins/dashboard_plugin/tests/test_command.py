"""What `llm dashboard` tells in the terminal, and which run it shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from create_llm.cli.app import App
from create_llm.errors import ConfigError
from create_llm.kernel.plugins import load_plugins
from create_llm.models.bundle import FORMAT, INFO
from create_llm_dashboard.command import command
from create_llm_dashboard.server import listen
from create_llm_dashboard.serving import Serving

from .conftest import RUN, Story

Dashboard = Callable[..., Result]


@pytest.fixture
def shown() -> list[Serving]:
    """The dashboards that were started."""
    return []


@pytest.fixture
def dashboard(tmp_path: Path, shown: list[Serving], monkeypatch: pytest.MonkeyPatch) -> Dashboard:
    """The command in a project, up to where it would answer browsers."""
    (tmp_path / "llm.toml").write_text("")
    monkeypatch.setattr(Serving, "run", lambda serving: shown.append(serving))
    app = App(load_plugins(), tmp_path, ())

    def run(*words: str) -> Result:
        return CliRunner().invoke(command, ["--no-open", *words], obj=app)

    return run


def version(root: Path, name: str, run: str | None) -> None:
    folder = root / "models" / name
    folder.mkdir(parents=True)
    (folder / INFO).write_text(json.dumps({"format": FORMAT, "run": run}))


def test_without_runs_it_says_that_it_waits_and_how_it_ends(dashboard: Dashboard):
    done = dashboard("--port", "0")
    assert done.exit_code == 0, done.output
    assert "dashboard: http://127.0.0.1:" in done.stderr
    assert "Ctrl-C ends the dashboard" in done.stderr
    assert "There is no run yet; the page waits for one" in done.stderr
    assert "is taken" not in done.stderr


def test_with_a_run_it_waits_for_none(dashboard: Dashboard, story: Story):
    assert "no run yet" not in dashboard("--port", "0").stderr


def test_a_port_that_is_taken_is_told(dashboard: Dashboard, story: Story):
    with listen("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        done = dashboard("--port", str(port), "--json")
    own = json.loads(done.stdout)["url"].rpartition(":")[2]
    assert f"port {port} is taken, so the page is at {own}" in done.stderr


def test_a_version_means_the_run_that_made_it(
    dashboard: Dashboard, story: Story, tmp_path: Path, shown: list[Serving]
):
    Story(tmp_path, "20260102-120000")
    version(tmp_path, "v1", RUN)
    assert dashboard("v1", "--port", "0").exit_code == 0
    assert dashboard(RUN, "--port", "0").exit_code == 0
    assert [serving.meant for serving in shown] == [RUN, RUN]


def test_a_version_without_a_run_and_what_is_neither_are_told(
    dashboard: Dashboard, story: Story, tmp_path: Path, shown: list[Serving]
):
    version(tmp_path, "v1", None)
    version(tmp_path, "v2", RUN)
    for word, told in (
        ("v1", "v1 has no run to watch"),
        ("v3", "there is no version v3: the versions are v1, v2"),
        ("3", "no run or version called '3'"),
    ):
        done = dashboard(word)
        assert isinstance(done.exception, ConfigError)
        assert told in done.exception.what
    assert shown == []


def test_all_lays_the_latest_over_one_another(
    dashboard: Dashboard, tmp_path: Path, shown: list[Serving]
):
    for day in range(1, 13):
        Story(tmp_path, f"202601{day:02}-120000")
    assert dashboard("--all", "--port", "0").exit_code == 0
    assert shown[0].others == tuple(f"202601{day:02}-120000" for day in range(4, 13))
    assert isinstance(dashboard("--all", RUN).exception, ConfigError)
