"""The panel of docs/dashboard.md, word by word."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import pip
from tests.journey import environment, llm, start_llm
from tests.pages import ROOT, files_in, write_files

from .conftest import Seen, Story

PAGE = ROOT / "docs" / "dashboard.md"


@pytest.fixture(scope="module")
def lion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files as the page shows them."""
    folder = tmp_path_factory.mktemp("own")
    write_files(files_in(PAGE.read_text(encoding="utf-8")), folder)
    return folder / "my-lion"


@pytest.fixture(scope="module")
def installed(lion: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import from, in which the package is installed."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--target", str(folder), str(lion))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is kept of entry points is of this environment alone."""
    return {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


def test_its_own_test_passes(lion: Path, installed: Path, cache: dict[str, str]):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(lion)]
    env = environment((installed,), cache)
    done = subprocess.run(
        command, env=env, cwd=lion.parent, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_the_next_dashboard_shows_it(
    installed: Path, cache: dict[str, str], tmp_path: Path, look: Callable[..., Seen]
):
    llm(tmp_path, "new", "p", "--template", "nano", "--yes")
    story = Story(tmp_path / "p")
    story.start()
    story.step(10)
    story.step(20)
    arguments = ("dashboard", "--port", "0", "--no-open", "--json")
    with start_llm(tmp_path / "p", *arguments, overlays=(installed,), env=cache) as process:
        try:
            seen = look(json.loads(process.stdout.readline())["link"])
            panel = seen.page.locator("[data-panel=lion]")
            panel.get_by_text("2 reports so far").wait_for()
            assert panel.get_by_role("heading", name="Lion").is_visible()
        finally:
            process.terminate()
    assert seen.errors == []
